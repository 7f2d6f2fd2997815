"""Search over REST."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

_SEARCH = "/api/v1/search"
Filters = Mapping[str, Any]
Json = dict[str, Any]


class CairnRefused(Exception):
    """Cairn refused the request, with this `status` and `code`, such as 401 and `not_signed_in`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class CairnUnreachable(Exception):
    """Cairn can't be reached."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage found, with all `fields` of the result. `url` is the page that shows it in its document."""

    id: str
    text: str
    score: float
    title: str
    url: str
    fields: Mapping[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        names = ("document", "title", "knowledge_base", "source_uri", "page", "location", "section")
        return {**{name: self.fields[name] for name in names}, "url": self.url}


class Cairn:
    """A Cairn server. Threads may share a client.

    `knowledge_bases`: slugs or ids; by default, all that the key may read.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        knowledge_bases: Sequence[str] = (),
        filters: Filters | None = None,
        top_k: int = 8,
        timeout: float = 60,
    ) -> None:
        self.url = url.rstrip("/")
        self._named = list(knowledge_bases)
        self._filters = dict(filters or {})
        self._top_k = top_k
        self._settings: Json = {
            "base_url": self.url,
            "headers": {"Authorization": f"Bearer {key}"},
            "timeout": timeout,
        }

    def search(self, query: str) -> list[Passage]:
        """Return passages, best first. Raises CairnRefused or CairnUnreachable."""
        with self._translate_errors(), httpx.Client(**self._settings) as http:
            return self._passages(_json(http.post(_SEARCH, json=self._body(query))))

    async def asearch(self, query: str) -> list[Passage]:
        with self._translate_errors():
            async with httpx.AsyncClient(**self._settings) as http:
                return self._passages(_json(await http.post(_SEARCH, json=self._body(query))))

    def _body(self, query: str) -> Json:
        body: Json = {"query": query, "top_k": self._top_k}
        if self._named:
            body["knowledge_bases"] = self._named
        return body | ({"filters": self._filters} if self._filters else {})

    def _passages(self, answer: Json) -> list[Passage]:
        return [
            Passage(
                id=hit["chunk"],
                text=hit["text"],
                score=hit["score"],
                title=hit["title"],
                url=urljoin(f"{self.url}/", hit["url"]),
                fields=hit,
            )
            for hit in answer["results"]
        ]

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise CairnUnreachable(f"{self.url} does not answer ({type(error).__name__}).") from error


def _json(response: httpx.Response) -> Json:
    try:
        content = response.json()
    except ValueError:
        content = {}
    if response.status_code < 400 and isinstance(content, dict):
        return content
    problem = content if isinstance(content, dict) else {}
    message = str(problem.get("detail") or problem.get("title") or f"Cairn answered {response.status_code}.")
    raise CairnRefused(response.status_code, str(problem.get("code") or "unknown"), message)
