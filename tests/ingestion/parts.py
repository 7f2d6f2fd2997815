"""Index and parsers for tests of the pipeline."""

from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

from cairn.access.scope import Scope
from cairn.errors import Unavailable
from cairn.inference.protocols import Vectors
from cairn.library.rendition import Element, Rendition
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.progress import PagesRead, nobody
from ingestion.parse.sandbox.pool import Parsed
from retrieval.index.protocol import Candidates, Filters, Point, Sparse


class FakeIndex:
    """Points by id. `broken` makes it unreachable; `before_write` runs before each write."""

    def __init__(self) -> None:
        self.points: dict[UUID, Point] = {}
        self.broken = False
        self.before_write: Callable[[], None] = lambda: None

    def upsert(self, points: Sequence[Point]) -> None:
        self._reach()
        self.before_write()
        self.points.update({point.id: point for point in points})

    def delete_version(self, version: UUID) -> None:
        self._reach()
        self.points = {key: point for key, point in self.points.items() if point.version != version}

    def delete_document(self, document: UUID) -> None:
        self._reach()
        self.points = {key: point for key, point in self.points.items() if point.document != document}

    def set_fields(self, document: UUID, *, readers: Sequence[str], tags: Sequence[str]) -> None:
        self._reach()
        self.before_write()
        self.fields = {document: (tuple(readers), tuple(tags))}

    def query(
        self, dense: Vectors, sparse: Sparse, *, scope: Scope, filters: Filters, limit: int
    ) -> Candidates:
        return Candidates()

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, Vectors]:
        self._reach()
        return {each: self.points[each].dense for each in ids if each in self.points}

    def count(self, *, document: UUID | None = None, version: UUID | None = None) -> int:
        self._reach()
        return sum(
            document in (None, point.document) and version in (None, point.version)
            for point in self.points.values()
        )

    def close(self) -> None:
        pass

    def _reach(self) -> None:
        if self.broken:
            raise Unavailable("The index is not reachable.")


class FakeParsers:
    """Each line of a file is a paragraph, of the section that a line with "# " before it opens. `failure`:
    what parsing raises instead."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.while_parsing: Callable[[], None] = lambda: None

    def parse(
        self,
        path: Path,
        filename: str,
        *,
        limits: Limits,
        cancelled: Callable[[], bool],
        progress: PagesRead = nobody,
        urgent: bool = False,
    ) -> Parsed:
        self.while_parsing()
        if self.failure is not None:
            raise self.failure
        lines = path.read_text().splitlines()
        elements, section = list[Element](), tuple[str, ...]()
        for place, line in enumerate(lines):
            section = (line[2:],) if line.startswith("# ") else section
            elements.append(Element(place, "NarrativeText", line, section))
        return Parsed(Rendition(tuple(elements), title=lines[0] if lines else None), "text/plain")

    def render_page(self, path: Path, page_number: int, *, width: int, limits: Limits) -> bytes:
        return f"page {page_number} at {width}".encode()
