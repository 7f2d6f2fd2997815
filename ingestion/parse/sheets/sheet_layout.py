"""Layout and formats of .xlsx sheets, read from the XML without building a tree.

A few cells that are far apart make a reader allocate memory for the area between them, so the area is
measured before the sheet is read.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, Final

from lxml import etree

from cairn.library.cell_ranges import column_number
from ingestion.parse.archives import zip_guard
from ingestion.parse.sheets.number_formats import NumberFormat, builtin_format, parse_format

_BLOCK: Final = 1 << 20
_LONGEST_REST: Final = 8 << 20
_WORKBOOK: Final = "xl/workbook.xml"
_RELATIONS: Final = "xl/_rels/workbook.xml.rels"
_STYLES: Final = "xl/styles.xml"
_PROPERTIES: Final = "docProps/core.xml"

_BESIDE: Final = ("comments", "drawing")

_ROOT: Final = re.compile(rb"<(\w{1,20}:)?worksheet\b")
_BOUND: Final = re.compile(rb'\b(?:min|max)=["\'](\d{1,6})["\']')
_DAMAGE: Final = (etree.LxmlError, KeyError, *zip_guard.BROKEN_ZIP)
_NO_FORMATS: Final[dict[int, NumberFormat]] = {}


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Patterns for a sheet whose tags have this namespace prefix.

    None matches across a "<" that it does not name, so all run in linear time.
    """

    cell: re.Pattern[bytes]
    error: re.Pattern[bytes]
    hidden_row: re.Pattern[bytes]
    hidden_columns: re.Pattern[bytes]
    uncomputed: re.Pattern[bytes]

    @classmethod
    def of(cls, prefix: bytes) -> "_Patterns":
        begin, end = b"<" + prefix, b"</" + prefix
        hidden = rb'[^<>]*?\bhidden=["\'](?:1|true)["\']'
        formula = begin + rb"f\b(?:[^<>]*/>|[^<>]*>[^<]*" + end + rb"f>)"
        no_value = rb"(?:" + begin + rb"v\s*/>|" + begin + rb"v>" + end + rb"v>)?"
        return cls(
            re.compile(
                begin + rb'c\b[^<>]*?\br=["\']([A-Z]{1,6})(\d{1,10})["\'](?:[^<>]*?\bs=["\'](\d{1,6})["\'])?'
            ),
            re.compile(begin + rb'c\b[^<>]*?\bt=["\']e["\']'),
            re.compile(begin + rb"row\b" + hidden),
            re.compile(begin + rb"col\b(?=" + hidden + rb")([^<>]*)"),
            re.compile(
                begin + rb'c\b(?![^<>]*?\bt=["\']str["\'])[^<>]*>' + formula + no_value + end + rb"c>"
            ),
        )


@dataclass(slots=True)
class SheetLayout:
    """Layout of a sheet. `formats`: by row and column, from 0. `uncomputed`: formulas without stored
    result.
    """

    rows: int = 0
    columns: int = 0
    hidden_rows: int = 0
    hidden_columns: int = 0
    errors: int = 0
    uncomputed: int = 0
    comments: int = 0
    text_boxes: int = 0
    formats: dict[int, dict[int, NumberFormat]] = field(default_factory=dict)

    def format_of(self, row: int, column: int) -> NumberFormat | None:
        return self.formats.get(row, _NO_FORMATS).get(column)


class Layouts:
    """Layouts of a file that is safe to open. Missing or broken parts and other formats have none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members = _sheet_members(self._root(_WORKBOOK), self._root(_RELATIONS))
        self._formats = _number_formats(self._root(_STYLES))

    @property
    def title(self) -> str:
        return "".join(title.text or "" for title in _all(self._root(_PROPERTIES), "title"))

    def of(self, sheet: str) -> SheetLayout:
        scan = _Scan(self._formats)
        try:
            with zipfile.ZipFile(self._path) as members, members.open(self._members[sheet]) as stream:
                for block in _blocks(stream):
                    scan.read(block)
        except _DAMAGE:
            return SheetLayout()
        layout = scan.finish_layout()
        for kind, root in self._related_parts(self._members[sheet]):
            if kind == "comments":
                layout.comments += len(_all(root, "comment"))
            elif kind == "drawing":
                layout.text_boxes += sum(1 for shape in _all(root, "sp") if _all(shape, "t"))
        return layout

    def _related_parts(self, member: str) -> Iterator[tuple[str, etree._Element]]:
        """Yield related parts of a sheet with their kind."""
        folder, name = posixpath.split(member)
        for one in _all(self._root(f"{folder}/_rels/{name}.rels"), "Relationship"):
            kind = posixpath.basename(one.get("Type") or "")
            if kind in _BESIDE:
                target = posixpath.normpath(posixpath.join("/", folder, one.get("Target") or ""))
                yield kind, self._root(target[1:])

    def _root(self, member: str) -> etree._Element:
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        try:
            with zipfile.ZipFile(self._path) as members:
                return etree.fromstring(members.read(member), parser)
        except _DAMAGE:
            return etree.Element("nothing")


def _all(root: etree._Element, name: str) -> list[etree._Element]:
    return list(root.iter(f"{{*}}{name}"))


def _sheet_members(workbook: etree._Element, relations: etree._Element) -> dict[str, str]:
    """Return archive members of the sheets, by sheet name."""
    targets = {one.get("Id"): one.get("Target") or "" for one in _all(relations, "Relationship")}
    found: dict[str, str] = {}
    for sheet in _all(workbook, "sheet"):
        relation = next((str(value) for name, value in sheet.items() if str(name).endswith("}id")), None)
        target = targets.get(relation, "")
        found[sheet.get("name") or ""] = target[1:] if target.startswith("/") else f"xl/{target}"
    return found


def _number_formats(styles: etree._Element) -> dict[bytes, NumberFormat]:
    """Return number formats by the style index that cells refer to."""
    own = {one.get("numFmtId"): one.get("formatCode") or "" for one in _all(styles, "numFmt")}
    used = [style.get("numFmtId") or "" for group in _all(styles, "cellXfs") for style in group]
    formats = (parse_format(own[one]) if one in own else builtin_format(one) for one in used)
    return {str(place).encode(): found for place, found in enumerate(formats) if found is not None}


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield blocks that end after a row if possible, else before a tag."""
    rest = b""
    while block := stream.read(_BLOCK):
        block = rest + block
        cut = block.rfind(b"</row>")
        cut = cut if cut > 0 else block.rfind(b"<")
        if cut <= 0 or len(block) - cut > _LONGEST_REST:
            cut = len(block)
        yield block[:cut]
        rest = block[cut:]
    yield rest


def _patterns(beginning: bytes) -> _Patterns:
    root = _ROOT.search(beginning)
    return _Patterns.of(root[1] or b"" if root else b"")


class _Scan:
    """A scan of one sheet. Rows with the same cell formats share one dictionary."""

    def __init__(self, formats: dict[bytes, NumberFormat]) -> None:
        self._layout = SheetLayout()
        self._formats = formats
        self._shared: dict[tuple[tuple[int, bytes], ...], dict[int, NumberFormat]] = {}
        self._columns: dict[bytes, int] = {}
        self._hidden: list[range] = []
        self._patterns: _Patterns | None = None

    def read(self, block: bytes) -> None:
        patterns = self._patterns = self._patterns or _patterns(block)
        if b"hidden" in block:
            self._hidden_parts(block, patterns)
        if b'="e"' in block or b"='e'" in block:
            self._layout.errors += len(patterns.error.findall(block))
        if b"f>" in block or b"/>" in block:
            self._layout.uncomputed += len(patterns.uncomputed.findall(block))
        for row, cells in groupby(patterns.cell.findall(block), key=itemgetter(1)):
            self._row(int(row) - 1, [(self._column(column), style) for column, _, style in cells])

    def _hidden_parts(self, block: bytes, patterns: _Patterns) -> None:
        self._layout.hidden_rows += len(patterns.hidden_row.findall(block))
        for attributes in patterns.hidden_columns.findall(block):
            bounds = sorted(map(int, _BOUND.findall(attributes)))
            self._hidden.extend([range(bounds[0], bounds[-1] + 1)] if bounds else [])

    def _row(self, row: int, cells: Sequence[tuple[int, bytes]]) -> None:
        layout = self._layout
        layout.rows = max(layout.rows, row + 1)
        layout.columns = max(layout.columns, 1 + max(column for column, _ in cells))
        if styled := tuple(cell for cell in cells if cell[1] in self._formats):
            if styled not in self._shared:
                self._shared[styled] = {column: self._formats[style] for column, style in styled}
            known = layout.formats.get(row)
            layout.formats[row] = {**known, **self._shared[styled]} if known else self._shared[styled]

    def _column(self, name: bytes) -> int:
        if name not in self._columns:
            self._columns[name] = column_number(name.decode())
        return self._columns[name]

    def finish_layout(self) -> SheetLayout:
        """Return the layout. Hidden columns only count where there are cells."""
        used = range(1, self._layout.columns + 1)
        self._layout.hidden_columns = sum(
            max(0, min(hidden.stop, used.stop) - max(hidden.start, 1)) for hidden in self._hidden
        )
        return self._layout
