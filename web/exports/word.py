"""Documents for Word."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any, Final

from docx import Document
from docx.shared import Cm, Pt

from web.exports.answer_blocks import Block, Run, Table, printable

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_STYLES: Final = {"title": "Title", "question": "Heading 1", "heading": "Heading 2", "quote": "Quote"}
_INDENT: Final = 0.75  # centimetres for each level of a list
_LONGEST_TITLE: Final = 255  # what Word allows


def write_word(title: str, blocks: Iterable[Block | Table]) -> bytes:
    document = Document()
    about = document.core_properties
    about.title, about.author, about.comments = printable(title)[:_LONGEST_TITLE], "Cairn", ""
    for block in blocks:
        if isinstance(block, Table):
            _write_table(document, block)
        else:
            _write_paragraph(document, block)
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def _write_paragraph(document: Any, block: Block) -> None:
    paragraph = document.add_paragraph(style=_STYLES.get(block.kind))
    if block.level:
        paragraph.paragraph_format.left_indent = Cm(_INDENT * block.level)
    if block.label:
        paragraph.paragraph_format.first_line_indent = Cm(-_INDENT)
        paragraph.add_run(f"{block.label}\t")
        paragraph.paragraph_format.tab_stops.add_tab_stop(Cm(_INDENT * block.level))
    for run in block.runs:
        _write_run(paragraph, run, is_note=block.kind == "note")


def _write_run(paragraph: Any, run: Run, *, is_note: bool) -> None:
    written = paragraph.add_run(run.text)
    written.bold, written.italic = run.bold or None, run.italic or is_note or None
    if run.code:
        written.font.name, written.font.size = "Courier New", Pt(10)


def _write_table(document: Any, table: Table) -> None:
    written = document.add_table(rows=0, cols=len(table.rows[0]), style="Table Grid")
    for number, row in enumerate(table.rows):
        for cell, text in zip(written.add_row().cells, row, strict=True):
            cell.text = ""
            cell.paragraphs[0].add_run(text).bold = number == 0 or None
    document.add_paragraph()
