"""An OpenAI-compatible /embeddings endpoint."""

import math
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import httpx
import numpy as np

from cairn.errors import ConfigurationError, Unavailable
from cairn.http import ssrf_guard
from cairn.inference.embedding.local import normalize_vectors
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.tokenization import Tokens
from cairn.inference.protocols import Batching, Vectors
from cairn.inference.token_estimate import estimate_tokens
from cairn.settings import Environment

_BATCHING = Batching(texts=64, tokens=64 * 512, at_once=4)  # a server batches across requests by itself
_ATTEMPTS = 3
_FIRST_WAIT = 0.25  # seconds; doubles
_ASSUMED_MAX_TOKENS = 512
_WORTH_RETRYING = {408, 409, 425, 429, 500, 502, 503, 504}


class RemoteEmbedder:
    """`tokens` is the served model's tokenizer, if it is here; else tokens are estimated on the high side."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        api_key: str | None = None,
        tokens: Tokens | None = None,
        timeout: float = 60,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._url = f"{base_url.rstrip('/')}/embeddings"
        timeouts = httpx.Timeout(timeout, connect=5)
        self._http = ssrf_guard.client(base_url, headers=headers, timeout=timeouts)
        self._model = model
        self._tokens = tokens

    @classmethod
    def from_environment(cls, environment: Environment) -> "RemoteEmbedder":
        key = environment.embedding_api_key
        return cls(
            environment.embedding_base_url or "",
            model=environment.embedding_model,
            api_key=key.get_secret_value() if key else None,
            tokens=_local_tokens(environment.embedding_model),
        )

    @property
    def model(self) -> str:
        return self._model

    @cached_property
    def dimension(self) -> int:
        return len(self.embed_query("dimension"))

    @property
    def max_tokens(self) -> int:
        return self._tokens.max_tokens if self._tokens else _ASSUMED_MAX_TOKENS

    @property
    def batching(self) -> Batching:
        return _BATCHING

    def embed_query(self, text: str) -> Vectors:
        vector: Vectors = normalize_vectors(self._vectors([text]))[0]
        return vector

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        return normalize_vectors(
            np.concatenate([self._vectors(part) for part in _parts(texts, _BATCHING.texts)])
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._tokens.count(texts) if self._tokens else [estimate_tokens(text) for text in texts]

    def close(self) -> None:
        self._http.close()

    def _vectors(self, texts: list[str]) -> Vectors:
        # Servers differ in what they do with an empty text: some refuse the whole batch.
        body = {
            "model": self._model,
            "input": [text.strip() or "-" for text in texts],
            "encoding_format": "float",
        }
        answer = self._answer(body)
        try:
            rows = sorted(answer["data"], key=lambda row: int(row["index"]))
            vectors = np.array([row["embedding"] for row in rows], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable(
                f"The embedding server at {self._url} gave an answer without vectors"
            ) from error
        if (
            vectors.ndim != 2
            or len(vectors) != len(texts)
            or not vectors.size
            or not np.isfinite(vectors).all()
        ):
            raise Unavailable(f"The embedding server at {self._url} returned an invalid response")
        return vectors

    def _answer(self, body: dict[str, Any]) -> Any:
        failure = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_FIRST_WAIT * 2 ** (attempt - 1))
            try:
                response = self._http.post(self._url, json=body)
                response.raise_for_status()
                return response.json()
            except httpx.HTTPStatusError as error:
                failure = f"answers {error.response.status_code}: {error.response.text[:200]}"
                if error.response.status_code not in _WORTH_RETRYING:
                    raise ConfigurationError(f"The embedding server at {self._url} {failure}") from error
            except httpx.HTTPError as error:
                failure = f"is not reachable: {error}"
            except ValueError as error:
                raise Unavailable(f"The embedding server at {self._url} didn't return JSON") from error
        raise Unavailable(f"The embedding server at {self._url} {failure}")


def _local_tokens(model: str) -> Tokens | None:
    try:
        folder = EncoderFolder.of(model)
    except ConfigurationError:  # a name that only the server knows
        return None
    return Tokens(folder.tokenizer_file, max_sequence=folder.max_sequence)


def _parts(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(texts)
    for _ in range(math.ceil(len(texts) / size)):
        yield list(islice(rest, size))
