"""Workbooks, with the content that is visible to people who open them, sheet by sheet.

Hidden sheets are left out and named in the report. Hidden rows and columns are read, as they are mostly
filtered or folded. Formulas are represented by their stored results.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from cairn import messages
from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition, Report
from cairn.messages import CodedMessage
from ingestion.parse.archives import zip_guard
from ingestion.parse.core import failures
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import RenditionBuilder
from ingestion.parse.core.report_notes import build_count_note
from ingestion.parse.sheets.grid import Reader, Row, Value, bands
from ingestion.parse.sheets.number_formats import format_value
from ingestion.parse.sheets.rows import Full, RowWriter
from ingestion.parse.sheets.sheet_layout import Layouts, SheetLayout
from ingestion.parse.text.cleaning import clean

_KIND: Final = "workbook"
_ZIP: Final = b"PK"
_MOST_CELLS: Final = 25_000_000  # a reader takes 32 bytes for each, empty or not
_MOST_MERGED: Final = 20_000
_TALLEST: Final = 100
_MOST_NAMED: Final = 5  # of the warnings, in a rejection
_RUST_PANIC: Final = "pyo3_runtime"

Merged = Sequence[tuple[tuple[int, int], tuple[int, int]]]


def parse(path: Path, limits: Limits) -> Rendition:
    with path.open("rb") as stream:
        if stream.read(len(_ZIP)) == _ZIP:
            zip_guard.check(path, _KIND)
    with _damage():
        return _Workbook(path, limits).read()


@contextmanager
def _damage() -> Iterator[None]:
    """Translate errors of the library for malformed files, including Rust panics, to rejections."""
    try:
        yield
    except PasswordError as error:
        raise failures.protected(_KIND) from error
    except CalamineError as error:
        raise failures.damaged(_KIND) from error
    except BaseException as error:
        if type(error).__module__ != _RUST_PANIC:
            raise
        raise failures.damaged(_KIND) from error


class _Workbook:
    def __init__(self, path: Path, limits: Limits) -> None:
        self._limits = limits
        self._workbook = CalamineWorkbook.from_path(str(path))
        self._layouts = Layouts(path)
        self._builder = RenditionBuilder(limits)
        self._warnings: list[str] = []
        self._cut: list[str] = []
        self._comments = self._text_boxes = 0

    def read(self) -> Rendition:
        for name in self._visible():
            try:
                self._sheet(name)
            except Full as full:
                self._cut.append(CodedMessage("cut_sheet", name=name, row=full.row + 1))
                break
        unread = (
            *build_count_note("skipped_comments", self._comments),
            *build_count_note("skipped_text_boxes", self._text_boxes),
        )
        warnings = (*self._cut, *self._warnings, *unread)
        if self._builder.is_empty and self._cut:
            raise DocumentRejected(Rejection.TOO_LARGE, self._cut[0])
        if self._builder.is_empty and warnings:
            raise failures.no_text(
                messages.join("sentences", CodedMessage("no_text_in_sheets"), *warnings[:_MOST_NAMED])
            )
        report = Report(tables=self._builder.tables, truncated=bool(self._cut), warnings=warnings)
        return self._builder.build(title=clean(self._layouts.title), report=report)

    def _visible(self) -> list[str]:
        sheets = [one for one in self._workbook.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
        hidden = [f"“{one.name}”" for one in sheets if one.visible != SheetVisibleEnum.Visible]
        if hidden:
            self._warnings.append(CodedMessage("hidden_sheets", names=", ".join(hidden)))
        return [one.name for one in sheets if one.visible == SheetVisibleEnum.Visible]

    def _sheet(self, name: str) -> None:
        layout = self._layouts.of(name)
        if layout.rows * layout.columns > _MOST_CELLS:
            size = {"rows": layout.rows, "columns": layout.columns}
            self._cut.append(CodedMessage("spread_sheet", name=name, **size))
            return
        self._warnings.extend(_remarks(name, layout))
        self._comments += layout.comments
        self._text_boxes += layout.text_boxes
        sheet = self._workbook.get_sheet_by_name(name)
        if sheet.start is not None:
            self._write(sheet, layout)

    def _write(self, sheet: CalamineSheet, layout: SheetLayout) -> None:
        def as_seen(row: int, column: int, value: Value) -> str:
            return format_value(value, layout.format_of(row, column))

        reader = Reader()
        writer = RowWriter(self._builder, as_seen, sheet=sheet.name)
        for place, band in enumerate(bands(_rows(sheet))):
            if place == 0:
                self._builder.heading(0, sheet.name)
            writer.write(reader.parts(band))


def _remarks(name: str, layout: SheetLayout) -> Iterator[str]:
    hidden = build_count_note("hidden_rows", layout.hidden_rows) + build_count_note(
        "hidden_columns", layout.hidden_columns
    )
    if hidden:
        yield CodedMessage("hidden_cells", name=name, what=messages.join("both", *hidden))
    if layout.uncomputed:
        yield CodedMessage("uncomputed_formulas", name=name, count=layout.uncomputed)
    if layout.errors:
        yield CodedMessage("cells_with_errors", name=name, count=layout.errors)


def _rows(sheet: CalamineSheet) -> Iterator[Row]:
    """Yield rows from the first of the sheet, and columns from the first used one."""
    left = sheet.start[1] if sheet.start else 0
    spans = _Spans(sheet.merged_cell_ranges or ())
    for number, values in enumerate(sheet.iter_rows()):
        if values.count("") == len(values):
            continue
        cells: dict[int, Value] = {
            column: value for column, value in enumerate(values, left) if not _is_blank(value)
        }
        if cells:
            yield Row(number, spans.fill_row(number, cells))


def _is_blank(value: Value) -> bool:
    return isinstance(value, str) and not value.strip()


class _Spans:
    """Merged cells. Their value is repeated in each spanned row with other content."""

    def __init__(self, merged: Merged) -> None:
        self._starting: dict[int, list[tuple[int, int]]] = {}
        for (first, column), (last, _) in islice(merged, _MOST_MERGED):
            if first < last <= first + _TALLEST:
                self._starting.setdefault(first, []).append((column, last))
        self._open: list[tuple[int, int, Value]] = []

    def fill_row(self, number: int, cells: dict[int, Value]) -> dict[int, Value]:
        self._open = [one for one in self._open if one[1] >= number]
        missing = {column: value for column, _, value in self._open if column not in cells}
        for column, last in self._starting.pop(number, ()):
            if column in cells:
                self._open.append((column, last, cells[column]))
        return dict(sorted({**cells, **missing}.items())) if missing else cells
