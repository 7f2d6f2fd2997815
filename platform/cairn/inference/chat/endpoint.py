"""A client of an OpenAI-compatible server: vLLM, Ollama, LM Studio, llama.cpp, …

`cairn.inference.chat.open_chat_model` chooses between this and models in the process.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from llama_index.core.llms import ChatMessage, MessageRole

from cairn.errors import CairnError, ConfigurationError, Unavailable
from cairn.http import ssrf_guard
from cairn.inference.chat import metrics
from cairn.inference.chat.breaker import Breaker
from cairn.settings import Environment

TIMEOUT: Final = "timeout"
"""Cause of the failure of a server that wrote nothing for too long."""
_CONNECT_SECONDS = 5
_PROBE_SECONDS = 10
_REFUSED = {400, 413, 422}  # the request itself: sent again it would fail again
_BUSY = 429  # it works, but has no room
_TEMPERATURE = 0.0
_CONTROL = re.compile(r"<\|(?=[\w-]+\|>)")


@dataclass(frozen=True, slots=True)
class Patience:
    """Deadlines in seconds: until the first token, and between two tokens."""

    first: float
    next: float


class EndpointFailed(Exception):
    """A failed request. `error`: for the caller. `broken`: it counts against the server. `elsewhere`: another
    server, or a second try, may succeed."""

    def __init__(self, error: CairnError, cause: str, *, broken: bool = True, elsewhere: bool = True) -> None:
        super().__init__(error.message)
        self.error, self.cause, self.broken, self.elsewhere = error, cause, broken, elsewhere


class Endpoint:
    """Used in one event loop. `limit`: requests at once."""

    def __init__(self, url: str, environment: Environment, *, retries: int) -> None:
        import openai  # noqa: PLC0415 - with the next, a second of start-up that only served models need
        from llama_index.llms.openai_like import (  # type: ignore[import-untyped]  # noqa: PLC0415 - the same
            OpenAILike,
        )

        key = environment.llm_api_key.get_secret_value() if environment.llm_api_key else "none"
        self.url = strip_credentials(url)
        self.name = urlsplit(self.url).netloc
        self.limit = environment.llm_max_concurrency
        self.breaker = Breaker(environment.llm_breaker_failures)
        self.in_flight = 0
        self.served = 0
        self._patience = Patience(
            environment.llm_first_token_timeout_seconds, environment.llm_inter_token_timeout_seconds
        )
        self._takes_system = environment.llm_system_role
        self._failure: type[Exception] = openai.OpenAIError
        self._connection_failure: type[Exception] = openai.APIConnectionError
        self._is_from_console = environment.is_stored("llm_base_url")
        self._http = ssrf_guard.async_client(url, from_console=self._is_from_console)
        self.llm = OpenAILike(
            model=environment.llm_model,
            api_base=url.rstrip("/"),
            api_key=key,
            context_window=environment.llm_context_tokens,
            is_chat_model=True,
            temperature=_TEMPERATURE,
            max_retries=retries,
            async_http_client=self._http,
        )
        self._client = openai.AsyncOpenAI(
            base_url=url.rstrip("/"), api_key=key, max_retries=retries, http_client=self._http
        )
        self._stream = openai.AsyncStream[object]
        metrics.record_breaker_state(self.name, self.breaker.state)

    def enter(self) -> None:
        """Count a request to this server as running, until `leave`."""
        self.in_flight += 1
        self.served += 1
        metrics.IN_FLIGHT.labels(self.name).inc()

    def leave(self) -> None:
        self.in_flight -= 1
        metrics.IN_FLIGHT.labels(self.name).dec()

    async def pieces(self, messages: Sequence[ChatMessage], max_tokens: int) -> AsyncGenerator[str, None]:
        """Raises EndpointFailed, also in the middle."""
        try:
            async with aclosing(self._pieces(messages, max_tokens, self._patience)) as found:
                async for piece in found:
                    yield piece
        except EndpointFailed as failure:
            metrics.FAILURES.labels(self.name, failure.cause).inc()
            raise

    async def probe(self) -> None:
        """Request one token: a server can report that it is healthy while its engine is not."""
        patience = Patience(_PROBE_SECONDS, _PROBE_SECONDS)
        async with aclosing(self._pieces([ChatMessage("ping")], 1, patience)) as found:
            async for _ in found:
                pass

    async def close(self) -> None:
        await self._http.aclose()

    async def _pieces(
        self, messages: Sequence[ChatMessage], max_tokens: int, patience: Patience
    ) -> AsyncGenerator[str, None]:
        began, reading = time.monotonic(), _Reading()
        try:
            async for piece in self._texts(messages, max_tokens, patience, reading):
                if piece:
                    if not reading.text:
                        metrics.FIRST_TOKEN.labels(self.name).observe(time.monotonic() - began)
                    reading.text = True
                    yield piece
        except EndpointFailed:
            raise
        except TimeoutError as silence:
            raise self._build_failure(reading.silent(patience), TIMEOUT) from silence
        except (self._failure, httpx.HTTPError) as failure:
            raise self._explain_failure(failure, reading.silent(patience), reading) from failure
        except Exception as failure:  # what a server sends may break its client in any way
            raise self._build_failure("answers what cannot be read", "unreadable") from failure
        if not reading.finished:
            problem = (
                "broke off in the middle of its answer" if reading.text else "ended without a single token"
            )
            raise self._build_failure(problem, "cut" if reading.text else "no_token")

    async def _texts(
        self, messages: Sequence[ChatMessage], max_tokens: int, patience: Patience, reading: "_Reading"
    ) -> AsyncGenerator[str, None]:
        """Yield the text. One deadline covers everything until the first token: some servers send
        keep-alives.

        Events are read as plain objects: building models of each token takes nearly as long as everything
        else.
        """
        deadline = asyncio.get_running_loop().time() + patience.first
        async with asyncio.timeout_at(deadline):
            stream = await self._client.post(
                "/chat/completions",
                cast_to=object,
                body=self._body(messages, max_tokens),
                options={"timeout": _http_timeout(patience)},
                stream=True,
                stream_cls=self._stream,
            )
        async with stream:
            while True:
                until = asyncio.get_running_loop().time() + patience.next if reading.text else deadline
                try:
                    async with asyncio.timeout_at(until):
                        chunk = await anext(stream)
                except StopAsyncIteration:
                    return
                yield reading.see(chunk)

    def _body(self, messages: Sequence[ChatMessage], max_tokens: int) -> dict[str, object]:
        turns = [
            {"role": each.role.value, "content": each.content or ""} for each in self._adapt_roles(messages)
        ]
        return {
            "model": self.llm.model,
            "messages": turns,
            "max_tokens": max_tokens,
            "temperature": _TEMPERATURE,
            "stream": True,
        }

    def _adapt_roles(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        harmless = [
            ChatMessage(_escape_control_tokens(each.content or ""), role=each.role) for each in messages
        ]
        return harmless if self._takes_system else merge_system_message(harmless)

    def _explain_failure(self, failure: Exception, silent: str, reading: "_Reading") -> EndpointFailed:
        if isinstance(failure.__cause__, httpx.ReadTimeout | httpx.WriteTimeout):
            return self._build_failure(silent, TIMEOUT)
        status = getattr(failure, "status_code", None)
        # Otherwise naming a server in the console would reveal responses of others in its network.
        repeats = not self._is_from_console or isinstance(failure, self._connection_failure)
        reason = f": {failure}" if repeats else ""
        if status is None:
            return self._build_failure(f"failed{reason}", "cut" if reading.text else "error")
        message = f"answered {status}{reason}"
        if status in _REFUSED:
            error = ConfigurationError(self._sentence(message))
            return EndpointFailed(error, "refused", broken=False, elsewhere=False)
        return self._build_failure(message, "busy" if status == _BUSY else "error", broken=status != _BUSY)

    def _build_failure(self, problem: str, cause: str, *, broken: bool = True) -> EndpointFailed:
        return EndpointFailed(Unavailable(self._sentence(problem)), cause, broken=broken)

    def _sentence(self, problem: str) -> str:
        return f"The language model {self.llm.model} at {self.url} {problem}"


@dataclass(slots=True)
class _Reading:
    """State of one answer. `finished`: the server sent its finish reason."""

    text: bool = False
    finished: bool = False

    def see(self, chunk: Any) -> str:
        """Return the text of a chunk's first choice: there is no other."""
        choices = chunk.get("choices") or ()
        self.finished = self.finished or any(choice.get("finish_reason") for choice in choices)
        delta = choices[0].get("delta") or {} if choices else {}
        content = delta.get("content")
        return content if isinstance(content, str) else ""

    def silent(self, patience: Patience) -> str:
        seconds = patience.next if self.text else patience.first
        what = "wrote no further word" if self.text else "wrote no word"
        return f"{what} within {seconds:g} seconds"


def strip_credentials(url: str) -> str:
    """Return the URL without user name and password."""
    parts = urlsplit(url.rstrip("/"))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def merge_system_message(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Move the system text before the user's turn, for chat templates without a system role."""
    system = [each.content or "" for each in messages if each.role is MessageRole.SYSTEM]
    others = [each for each in messages if each.role is not MessageRole.SYSTEM]
    if not system or not others:
        return list(messages)
    first = ChatMessage("\n\n".join([*system, others[0].content or ""]), role=others[0].role)
    return [first, *others[1:]]


def _http_timeout(patience: Patience) -> httpx.Timeout:
    """Return a fallback for waits that our own deadlines, a second shorter, cannot interrupt in httpx."""
    return httpx.Timeout(max(patience.first, patience.next) + 1, connect=_CONNECT_SECONDS)


def _escape_control_tokens(text: str) -> str:
    """Break up `<|…|>`, which servers parse as a control token: in a passage, one could end the turn."""
    return _CONTROL.sub("< |", text)
