"""A server with POST /rerank: vLLM, Jina and Cohere take `documents`, TEI takes `texts`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from cairn.errors import Unavailable
from cairn.http import ssrf_guard
from cairn.inference.reranking.deadline import MAX_TEXTS
from cairn.settings import Environment

_BATCH_TEXTS: Final = 32  # the most that TEI takes unless told otherwise
_MAX_CONCURRENT_BATCHES: Final = 8
_CONNECT_SECONDS: Final = 1.0
_DIALECTS: Final = ("documents", "texts")
_NOT_UNDERSTOOD: Final = {400, 422}


class RemoteReranker:
    """A Scorer. The server's first response reveals which of the two dialects it uses."""

    batch_texts = _BATCH_TEXTS
    max_texts = MAX_TEXTS
    languages = None
    at_once = _MAX_CONCURRENT_BATCHES

    def __init__(self, base_url: str, *, model: str | None = None, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._url = f"{base_url.rstrip('/')}/rerank"
        self._http = ssrf_guard.client(base_url, headers=headers)
        self._model = model
        self._dialect: str | None = None

    @classmethod
    def from_environment(cls, environment: Environment) -> "RemoteReranker":
        key = environment.reranker_api_key
        return cls(
            environment.reranker_base_url or "",
            model=environment.reranker_model,
            api_key=key.get_secret_value() if key else None,
        )

    @property
    def name(self) -> str:
        return self._model or self._url

    def score(self, query: str, texts: Sequence[str], *, seconds: float) -> list[float]:
        # Servers differ in what they do with an empty text: some refuse the whole batch.
        answer = self._answer(query, [text.strip() or "-" for text in texts], seconds)
        try:
            return _in_order(answer, len(texts))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise Unavailable(f"The reranker at {self._url} returned an invalid response") from error

    def close(self) -> None:
        self._http.close()

    def _answer(self, query: str, texts: list[str], seconds: float) -> Any:
        known = self._dialect
        for dialect in (known,) if known else _DIALECTS:
            response = self._post_body(self._body(dialect, query, texts), seconds)
            if response.status_code in _NOT_UNDERSTOOD and not known and dialect != _DIALECTS[-1]:
                continue
            if not response.is_success:
                break
            self._dialect = dialect
            return self._decode_response(response)
        raise Unavailable(f"The reranker at {self._url} returned status {response.status_code}")

    def _body(self, dialect: str, query: str, texts: list[str]) -> dict[str, Any]:
        model = {"model": self._model} if self._model else {}
        if dialect == "documents":
            return {**model, "query": query, "documents": texts, "top_n": len(texts)}
        return {**model, "query": query, "texts": texts, "truncate": True}

    def _post_body(self, body: dict[str, Any], seconds: float) -> httpx.Response:
        timeout = httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds / 2))
        try:
            return self._http.post(self._url, json=body, timeout=timeout)
        except (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout) as error:
            raise TimeoutError from error
        except httpx.HTTPError as error:
            raise Unavailable(f"The reranker at {self._url} can't be reached: {error!r}") from error

    def _decode_response(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise Unavailable(f"The reranker at {self._url} didn't return JSON") from error


def _in_order(answer: Any, count: int) -> list[float]:
    """TEI answers a bare list; Jina, Cohere and vLLM put it into `results`."""
    rows = answer["results"] if isinstance(answer, Mapping) else answer
    scores = {int(row["index"]): float(row.get("relevance_score", row.get("score"))) for row in rows}
    if len(rows) != count:
        raise ValueError
    return [scores[index] for index in range(count)]
