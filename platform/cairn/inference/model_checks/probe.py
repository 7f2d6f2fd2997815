"""Probe of an OpenAI-compatible server: what it serves, with minimal requests."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from pydantic import SecretStr

from cairn.errors import ConfigurationError, Unavailable
from cairn.http import ssrf_guard
from cairn.inference.chat.endpoint import strip_credentials

_CONTEXT_FIELDS = ("max_model_len", "loaded_context_length", "max_context_length", "context_length")
_LONGEST = 300  # characters of what a server says
_MOST_BYTES = 8 << 20  # of a response
Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class ServedModels:
    """`models`: names of the served models. `contexts`: context lengths in tokens, where reported."""

    models: tuple[str, ...] = ()
    contexts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """`milliseconds`: until the first token. `prompt_tokens`: if it counts them."""

    milliseconds: int
    prompt_tokens: int | None = None


class Server:
    """Every call raises Unavailable, or ConfigurationError where the server refuses the request.

    `seconds`: how long to wait for a response; `from_console`: for all of them together.
    """

    def __init__(
        self, url: str, key: SecretStr | None, *, seconds: float, from_console: bool = False
    ) -> None:
        self._url = url.rstrip("/")
        self._key = key.get_secret_value() if key else ""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        # Errors of whatever an admin's browser named aren't repeated: it may be no model server.
        self._longest = 0 if from_console else _LONGEST
        self._seconds = seconds
        self._until = time.monotonic() + seconds if from_console else None
        timeout = httpx.Timeout(seconds, connect=5)
        self._http = ssrf_guard.client(url, from_console=from_console, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    def list_models(self) -> ServedModels:
        listed = self._json("GET", f"{self._url}/models").get("data")
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        models = tuple(str(row.get("id")) for row in rows)
        contexts = {str(row.get("id")): found for row in rows if (found := _context_in(row))}
        for row in rows:  # an adapter has the context of its base
            if (base := str(row.get("parent"))) in contexts:
                contexts.setdefault(str(row.get("id")), contexts[base])
        return ServedModels(models, contexts)

    def context_of(self, model: str) -> int | None:
        """Return the context length that llama.cpp and LM Studio report beyond the common API."""
        root = self._url.removesuffix("/v1")
        for address in (f"{root}/props", f"{root}/api/v0/models/{model}"):
            try:
                about = self._json("GET", address)
            except (Unavailable, ConfigurationError):
                continue
            settings = about.get("default_generation_settings")
            if found := _whole(settings.get("n_ctx") if isinstance(settings, dict) else None):
                return found
            if found := _context_in(about):
                return found
        return None

    def one_token(self, model: str, messages: list[Message]) -> ProbeResult:
        """Request one token. A finish reason counts as one, since the text of a token may be empty."""
        body = {"model": model, "messages": messages, "max_tokens": 1, "temperature": 0, "stream": True}
        began, came, tokens = time.perf_counter(), None, None
        for chunk in self._stream_chunks({**body, "stream_options": {"include_usage": True}}):
            if chunk.get("error"):
                reason = f": {chunk['error']}" if self._longest else ""
                raise Unavailable(self._plain(f"breaks off{reason}"))
            if came is None and _wrote(chunk):
                came = time.perf_counter() - began
            usage = chunk.get("usage")
            tokens = _whole(usage.get("prompt_tokens")) if isinstance(usage, dict) else tokens
        if came is None:
            raise Unavailable("answers 200 without a single token: its engine does not work")
        return ProbeResult(round(came * 1000), tokens)

    def post(self, path: str, body: dict[str, Any]) -> tuple[Any, int]:
        """Return the response and its milliseconds."""
        began = time.perf_counter()
        answer = self._json("POST", f"{self._url}{path}", json=body)
        return answer, round((time.perf_counter() - began) * 1000)

    def _stream_chunks(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with (
            self._failures(),
            self._http.stream("POST", f"{self._url}/chat/completions", json=body) as response,
        ):
            parts = self._read(response)
            self._raise_for_status(response, parts)
            for line in _lines(parts):
                data = line.removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
                if data and data != b"[DONE]":
                    yield _object(json.loads(data))

    def _json(self, method: str, url: str, **request: Any) -> dict[str, Any]:
        with self._failures(), self._http.stream(method, url, **request) as response:
            parts = self._read(response)
            self._raise_for_status(response, parts)
            return _object(json.loads(b"".join(parts)))

    def _read(self, response: httpx.Response) -> Iterator[bytes]:
        """Yield the body, of a limited size and for a limited time, however slowly it comes."""
        until, size = self._until or time.monotonic() + self._seconds, 0
        for part in response.iter_bytes():
            size += len(part)
            if size > _MOST_BYTES:
                raise Unavailable("answers too much")
            if time.monotonic() > until:
                raise Unavailable("does not answer in time")
            yield part

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise Unavailable("does not answer in time") from error
        except httpx.HTTPError as error:
            raise Unavailable(self._plain(f"cannot be reached: {error}")) from error
        except ValueError as error:
            raise Unavailable("answers what cannot be read") from error

    def _raise_for_status(self, response: httpx.Response, parts: Iterator[bytes]) -> None:
        if response.status_code < 400:
            return
        body = b"".join(parts).decode(errors="replace") if self._longest else ""
        text = f": {body[: self._longest]}" if self._longest else ""
        problem = self._plain(f"answers {response.status_code}{text}")
        raise ConfigurationError(problem) if response.status_code < 500 else Unavailable(problem)

    def _plain(self, text: str) -> str:
        """Remove the key from the text: servers may repeat it in their errors."""
        return (text.replace(self._key, "…") if self._key else text).replace(
            self._url, strip_credentials(self._url)
        )


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
    yield rest


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(value)
    return value


def _wrote(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    return bool((choice.get("delta") or {}).get("content") or choice.get("finish_reason"))


def _context_in(row: dict[str, Any]) -> int | None:
    meta = row.get("meta")
    found = (_whole(row.get(name)) for name in _CONTEXT_FIELDS)
    return next(filter(None, found), None) or _whole(meta.get("n_ctx") if isinstance(meta, dict) else None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
