"""Two REST calls: what a slug stands for, and search."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

_BASES = "/api/v1/knowledge-bases"
_SEARCH = "/api/v1/search"
_PAGE = 200
Filters = Mapping[str, Any]
Json = dict[str, Any]


class CairnRefused(Exception):
    """`status` and `code` are those of Cairn's answer, such as 401 and `not_signed_in`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class CairnUnreachable(Exception):
    """Nobody answers there."""


@dataclass(frozen=True, slots=True)
class Passage:
    """`told` is all that Cairn says of it; `url` is the page that shows it in its document."""

    id: str
    text: str
    score: float
    title: str
    url: str
    told: Mapping[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        kept = ("document", "title", "knowledge_base", "source_uri", "page", "location", "section")
        return {**{name: self.told[name] for name in kept}, "url": self.url}


class Cairn:
    """`knowledge_bases`: slugs or ids; if none are named, all that the key may read. Threads may share it."""

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
        """Best first. Raises CairnRefused or CairnUnreachable."""
        with self._translate_errors(), httpx.Client(**self._settings) as http:
            known = self._ids(_pages(http)) if self._named else None
            return self._passages(_json(http.post(_SEARCH, json=self._body(query, known))))

    async def asearch(self, query: str) -> list[Passage]:
        with self._translate_errors():
            async with httpx.AsyncClient(**self._settings) as http:
                known = self._ids([page async for page in _apages(http)]) if self._named else None
                return self._passages(_json(await http.post(_SEARCH, json=self._body(query, known))))

    def _body(self, query: str, bases: list[str] | None) -> Json:
        body: Json = {"query": query, "top_k": self._top_k}
        if bases is not None:
            body["knowledge_bases"] = bases
        return body | ({"filters": self._filters} if self._filters else {})

    def _ids(self, pages: "Iterator[Json] | list[Json]") -> list[str]:
        """Cairn would search in the others without a word."""
        bases = [base for page in pages for base in page["items"]]
        known = {base[name]: base["id"] for base in bases for name in ("slug", "id")}
        for name in self._named:
            if name not in known:
                raise CairnRefused(404, "not_found", f"There is no knowledge base “{name}” for this key.")
        return [known[name] for name in self._named]

    def _passages(self, answer: Json) -> list[Passage]:
        return [
            Passage(
                id=hit["chunk"],
                text=hit["text"],
                score=hit["score"],
                title=hit["title"],
                url=urljoin(f"{self.url}/", hit["url"]),
                told=hit,
            )
            for hit in answer["results"]
        ]

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise CairnUnreachable(f"{self.url} does not answer ({type(error).__name__}).") from error


def _pages(http: httpx.Client) -> Iterator[Json]:
    cursor: str | None = None
    while True:
        page = _json(http.get(_BASES, params=_page(cursor)))
        yield page
        cursor = page["next_cursor"]
        if not cursor:
            return


async def _apages(http: httpx.AsyncClient) -> Any:
    cursor: str | None = None
    while True:
        page = _json(await http.get(_BASES, params=_page(cursor)))
        yield page
        cursor = page["next_cursor"]
        if not cursor:
            return


def _page(cursor: str | None) -> dict[str, Any]:
    return {"limit": _PAGE, **({"cursor": cursor} if cursor else {})}


def _json(response: httpx.Response) -> Json:
    try:
        said = response.json()
    except ValueError:
        said = {}
    if response.status_code < 400 and isinstance(said, dict):
        return said
    told = said if isinstance(said, dict) else {}
    message = str(told.get("detail") or told.get("title") or f"Cairn answered {response.status_code}.")
    raise CairnRefused(response.status_code, str(told.get("code") or "unknown"), message)
