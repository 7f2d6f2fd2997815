"""PDF files, with a bundled font for Latin, Greek and Cyrillic."""

import re
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from django.utils.translation import gettext
from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.fonts import FontFace

from web.exports.answer_blocks import Block, Run, Table, printable

MEDIA_TYPE: Final = "application/pdf"
FONTS: Final = Path(__file__).parent / "fonts"
_FAMILY: Final = "DejaVu"
_FILES: Final = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
_SUBSTITUTE: Final = "\u25a1"  # an empty box
_SIZES: Final = {"title": 18, "question": 14, "heading": 12, "note": 9, "quote": 9, "code": 9}
_SIZE: Final = 10.5  # points
_LINE: Final = 0.5  # millimetres for each point of the size
_INDENT: Final = 7  # millimetres for each level of a list
_GREY: Final = 90
_RIGHT_TO_LEFT: Final = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


def write_pdf(title: str, blocks: Iterable[Block | Table]) -> bytes:
    """Write the document. If it has characters that the font lacks, it says so below its title."""
    written = list(blocks)
    pdf = FPDF(format="A4")
    pdf.set_title(_replace_missing(printable(title)))
    pdf.set_creator("Cairn")
    for style, name in _FILES.items():
        pdf.add_font(_FAMILY, style, FONTS / name)
    pdf.set_auto_page_break(auto=True, margin=20)
    pdf.set_margins(20, 20)
    pdf.add_page()
    for number, block in enumerate(written):
        if isinstance(block, Table):
            _write_table(pdf, block)
        else:
            _write_paragraph(pdf, block)
        if number == 0 and not all(map(_is_writable, written)):
            warning = gettext("This PDF can’t show all characters correctly. Export to Word instead.")
            _write_paragraph(pdf, Block("note", (Run(warning, bold=True),)))
    file = BytesIO()
    pdf.output(file)
    return file.getvalue()


@cache
def _characters() -> frozenset[int]:
    """Return the characters of the font."""
    with TTFont(FONTS / _FILES[""]) as font:
        return frozenset(font.getBestCmap())


def _replace_missing(text: str) -> str:
    """Replace what the font lacks."""
    known = _characters()
    spaced = text.replace("\t", "    ").replace("\r", "")
    return "".join(each if each == "\n" or ord(each) in known else _SUBSTITUTE for each in spaced)


def _is_writable(block: Block | Table) -> bool:
    """Return whether the font has all characters, and they run from left to right."""
    text = "".join(map("".join, block.rows)) if isinstance(block, Table) else block.text
    return not _RIGHT_TO_LEFT.search(text) and _replace_missing(text).count(_SUBSTITUTE) == text.count(
        _SUBSTITUTE
    )


def _write_paragraph(pdf: FPDF, block: Block) -> None:
    size = _SIZES.get(block.kind, _SIZE)
    height = size * _LINE
    is_heading = block.kind in {"title", "question", "heading"}
    indent = _INDENT * (block.level or (1 if block.kind in {"quote", "code"} else 0))
    pdf.set_text_color(_GREY if block.kind in {"note", "quote"} else 0)
    pdf.ln(height if is_heading else height / 3)
    margin = pdf.l_margin
    pdf.set_left_margin(margin + indent)
    if block.label:
        pdf.set_font(_FAMILY, size=size)
        pdf.set_x(margin + indent - _INDENT)
        pdf.write(height, block.label)
    pdf.set_x(margin + indent)
    for run in block.runs:
        pdf.set_font(_FAMILY, "B" if run.bold or is_heading else "", size)
        pdf.write(height, _replace_missing(run.text))
    pdf.ln(height)
    pdf.set_left_margin(margin)
    pdf.set_x(margin)
    pdf.set_text_color(0)


def _write_table(pdf: FPDF, table: Table) -> None:
    pdf.ln(2)
    pdf.set_font(_FAMILY, size=_SIZES["quote"])
    with pdf.table(headings_style=FontFace(emphasis="BOLD"), text_align="LEFT") as written:
        for cells in table.rows:
            row = written.row()
            for text in cells:
                row.cell(_replace_missing(text))
    pdf.ln(2)
