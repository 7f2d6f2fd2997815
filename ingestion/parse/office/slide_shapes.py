"""Text in the shapes of a slide, in reading order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.oxml.ns import qn
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.shapes.picture import Picture
from pptx.table import Table
from pptx.text.text import TextFrame, _Paragraph

from ingestion.parse.core.rendition_builder import LIST_ITEM, TABLE, TEXT
from ingestion.parse.sheets.grid import Row, header_rows
from ingestion.parse.sheets.number_formats import format_value, parse_format
from ingestion.parse.text.cleaning import clean

_LINE: Final = 180_000  # English Metric Units, 5 mm: what stands side by side is rarely quite level
_FURNITURE: Final = (
    PP_PLACEHOLDER.DATE,
    PP_PLACEHOLDER.FOOTER,
    PP_PLACEHOLDER.HEADER,
    PP_PLACEHOLDER.SLIDE_NUMBER,
)
_BODIES: Final = (
    PP_PLACEHOLDER.BODY,
    PP_PLACEHOLDER.OBJECT,
    PP_PLACEHOLDER.VERTICAL_BODY,
    PP_PLACEHOLDER.VERTICAL_OBJECT,
)
_BULLETS: Final = (qn("a:buChar"), qn("a:buAutoNum"), qn("a:buBlip"))
_GROUPS: Final = (qn("p:spTree"), qn("p:grpSp"))
_COMPATIBILITY: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_DIAGRAM: Final = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"


@dataclass(frozen=True, slots=True)
class Piece:
    """A text of a slide. `spot`: position of text outside placeholders, to detect repeated furniture."""

    category: str
    text: str
    header_rows: int = 0
    spot: tuple[int, int] | None = None


@dataclass(slots=True)
class ShapeReader:
    """Reader of a slide's shapes, which counts those it cannot read."""

    pictures: int = 0
    objects: int = 0

    def pieces(self, shapes: Iterable[BaseShape], *, title: BaseShape | None = None) -> Iterator[Piece]:
        skipped = None if title is None else title._element
        for shape in sorted(shapes, key=_position):
            if shape._element is not skipped and _placeholder(shape) not in _FURNITURE:
                yield from self._shape(shape)

    def _shape(self, shape: BaseShape) -> Iterator[Piece]:
        match shape:
            case GroupShape():
                yield from self.pieces(shape.shapes)
            case GraphicFrame():
                yield from self._frame(shape)
            case Picture():
                self.pictures += 1
            case _ if isinstance(frame := getattr(shape, "text_frame", None), TextFrame):
                yield from _texts(shape, frame)

    def _frame(self, frame: GraphicFrame) -> Iterator[Piece]:
        if frame.has_table:
            yield _table(frame.table)
        elif frame.has_chart:
            yield from _chart(frame.chart._chartSpace)
        elif (relations := next(frame._element.iter(_DIAGRAM), None)) is not None:
            yield from _diagram(frame.part.related_part(str(relations.get(qn("r:dm")))).blob)
        else:
            self.objects += 1


def settle(tree: Any) -> None:
    """Replace shapes with several versions, which python-pptx ignores, by one of them."""
    for node in list(tree.iter(f"{_COMPATIBILITY}AlternateContent")):
        if (parent := node.getparent()).tag in _GROUPS:
            place = parent.index(node)
            parent[place : place + 1] = list(_version(node))


def _version(node: Any) -> Any:
    """Return the version for current programs if it has text, else the fallback."""
    known = node.findall(f"{_COMPATIBILITY}Choice")
    others = [one for one in node.findall(f"{_COMPATIBILITY}Fallback") if len(one)]
    written = [one for one in known if any(text.text for text in one.iter(qn("a:t")))]
    return next(iter((*written, *others, *known)), ())


def lines_of(frame: TextFrame) -> list[str]:
    return [text for paragraph in frame.paragraphs if (text := one_line(paragraph.text))]


def one_line(text: str) -> str:
    return " ".join(clean(text.replace("\v", " ")).split())


def _position(shape: BaseShape) -> tuple[int, int]:
    """Sort key by line, from left to right. Shapes without a position come first."""
    return (shape.top or 0) // _LINE, shape.left or 0


def _placeholder(shape: BaseShape) -> PP_PLACEHOLDER | None:
    return shape.placeholder_format.type if shape.is_placeholder else None


def _texts(shape: BaseShape, frame: TextFrame) -> Iterator[Piece]:
    paragraphs = [paragraph for paragraph in frame.paragraphs if paragraph.text.strip()]
    in_body = len(paragraphs) > 1 and _placeholder(shape) in _BODIES
    spot = None if shape.is_placeholder else _position(shape)
    for paragraph in paragraphs:
        category = LIST_ITEM if _is_item(paragraph, in_body=in_body) else TEXT
        yield Piece(category, one_line(paragraph.text), spot=spot)


def _is_item(paragraph: _Paragraph, *, in_body: bool) -> bool:
    """Return whether a paragraph has a bullet, of its own or inherited from the master."""
    tags = [child.tag for child in paragraph._p.pPr] if paragraph._p.pPr is not None else []
    if qn("a:buNone") in tags:
        return False
    return in_body or paragraph.level > 0 or any(tag in _BULLETS for tag in tags)


def _table(table: Table) -> Piece:
    """Return rows. Row spans are repeated; column spans are followed by empty cells."""
    grid: list[list[str]] = []
    for row in table.rows:
        above, texts = grid[-1] if grid else [], list[str]()
        for place, cell in enumerate(row.cells):
            covered = cell._tc.vMerge and place < len(above)
            texts.append(above[place] if covered else "" if cell._tc.hMerge else one_line(cell.text))
        grid.append(texts)
    return _grid(grid, header=table.first_row or (_is_unstyled(table) and _is_headed(grid)))


def _is_unstyled(table: Table) -> bool:
    """Return whether the table has no style properties: only PowerPoint marks header rows."""
    properties = table._tbl.tblPr
    return properties is None or not properties.attrib


def _is_headed(grid: list[list[str]]) -> bool:
    rows = [Row(n, {c: text for c, text in enumerate(row) if text}) for n, row in enumerate(grid)]
    filled = [row for row in rows if row.cells]
    return header_rows(sorted({column for row in filled for column in row.cells}), filled) > 0


def _grid(grid: list[list[str]], *, header: bool) -> Piece:
    lines = [" | ".join(row).rstrip(" |") for row in grid]
    header_rows = int(header and bool(lines[0]) and len(list(filter(None, lines))) > 1) if lines else 0
    return Piece(TABLE, "\n".join(filter(None, lines)), header_rows)


def _chart(space: Any) -> Iterator[Piece]:
    """Yield the title and a table of figures: a row per category, a column per series."""
    title = "".join(text.text or "" for text in space.xpath("c:chart/c:title//a:t"))
    if one_line(title):
        yield Piece(TEXT, one_line(title))
    rows: dict[int, str] = {}
    columns: list[tuple[str, dict[int, str]]] = []
    for series in space.xpath(".//c:ser"):
        for place, name in _points(series, "c:cat|c:xVal").items():
            rows.setdefault(place, name)
        columns.append(("".join(series.xpath("c:tx//c:v/text()")), _points(series, "c:val|c:yVal")))
    places = sorted(rows.keys() | {place for _, values in columns for place in values})
    body = [[rows.get(place, ""), *(values.get(place, "") for _, values in columns)] for place in places]
    if body:
        yield _grid([["", *(one_line(name) for name, _ in columns)], *body], header=True)


def _points(series: Any, names: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for data in series.xpath(names):
        code = "".join(data.xpath(".//c:formatCode/text()"))
        for point in data.xpath(".//c:pt[c:v]"):
            place, value = str(point.get("idx")), "".join(point.xpath("c:v/text()"))
            if place.isdecimal():
                found.setdefault(int(place), _figure(value, code))
    return found


def _figure(value: str, code: str) -> str:
    try:
        return format_value(float(value), parse_format(code)) if code else one_line(value)
    except (ValueError, OverflowError):
        return one_line(value)


def _diagram(data: bytes) -> Iterator[Piece]:
    """Yield the texts of a SmartArt diagram."""
    root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    for paragraph in root.iter(qn("a:p")):
        if text := one_line("".join(one.text or "" for one in paragraph.iter(qn("a:t")))):
            yield Piece(LIST_ITEM, text)
