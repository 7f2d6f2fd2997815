"""Files of each format for the table in docs/use/formats.md: the real ones, and a made one with much in it.

Real files are small, and say too little of what is kept of a format.
"""

import io
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pypandoc
import pytest
from openpyxl import Workbook
from PIL import Image
from pptx import Presentation

from ingestion.parse.core import formats
from ingestion.parse.core.formats import Format
from tests.ingestion.parse.workbooks import archive, workbook

TEXT: Final = """---
title: Leave
author: Ada
date: 2024-05-01
lang: en
---

# Annual leave

Employees of every grade may take leave in each year of their work.

- Ask your manager before you book a journey.
- Tell the others of your team.

## Days by grade

| Grade | Days |
|-------|------|
| GS-7  | 20   |
| GS-8  | 25   |

```
leave book --days 5
```
"""
"""As Pandoc's Markdown, of which it makes the other formats."""
_WRITTEN_BY_PANDOC: Final = {
    formats.DOCX: "docx",
    formats.ODT: "odt",
    formats.RTF: "rtf",
    formats.EPUB: "epub",
    formats.HTML: "html",
    formats.RST: "rst",
    formats.ORG: "org",
    formats.DOKUWIKI: "dokuwiki",
    formats.TEXTILE: "textile",
}
_SAVED_BY_LIBREOFFICE: Final = {formats.DOC: formats.DOCX, formats.PPT: formats.PPTX}
_ROWS: Final = (
    ("Grade", "Days", "Who may take them"),
    ("GS-7", 20, "all employees"),
    ("GS-8", 25, "managers"),
)
_TITLE_AND_CONTENT: Final = 1
_OFFICE: Final = "urn:oasis:names:tc:opendocument:xmlns"
_CELL: Final = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
_ODS: Final = f"""<office:document-content xmlns:office="{_OFFICE}:office:1.0" xmlns:text="{_OFFICE}:text:1.0"
xmlns:table="{_OFFICE}:table:1.0" office:version="1.3"><office:body><office:spreadsheet>
<table:table table:name="Leave">{{}}</table:table></office:spreadsheet></office:body>
</office:document-content>"""
_MANIFEST: Final = f'<manifest:manifest xmlns:manifest="{_OFFICE}:manifest:1.0"/>'
_RECORDS: Final = {
    "title": "Leave",
    "days": [{"grade": "GS-7", "days": 20}, {"grade": "GS-8", "days": 25}],
    "notes": {"rules": "Ask your manager before you book a journey, and tell the others of your team."},
}
_XML: Final = """<leave><title>Leave</title><section><title>Annual leave</title>
<p>Employees of every grade may take leave in each year of their work.</p></section></leave>"""
_MAIL: Final = f"""From: Ada <ada@example.com>
To: Bo <bo@example.com>
Subject: Leave
Date: Wed, 01 May 2024 10:00:00 +0000
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<h1>Annual leave</h1><p>Employees of every grade may take leave in each year.</p><ul><li>one<li>two</ul>
<table><tr><th>{"<th>".join(map(str, _ROWS[0]))}</tr><tr><td>{"<td>".join(map(str, _ROWS[1]))}</tr></table>"""


def of(one: Format, folder: Path, scratch: Path) -> Iterator[Path]:
    """Return the files. `folder` contains the real ones; generated ones are written to `scratch`."""
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in one.endings]
    yield from found
    made = scratch / f"made{one.endings[0]}"
    if _make(one.media_type, made, folder):
        yield made
    elif not found:
        pytest.fail(f"no sample of {one.name}")


def _make(media_type: str, path: Path, folder: Path) -> bool:
    if writer := _WRITTEN_BY_PANDOC.get(media_type):
        options = ["--standalone", "--sandbox"]
        pypandoc.convert_text(TEXT, writer, "markdown", outputfile=str(path), extra_args=options)
    elif source := _SAVED_BY_LIBREOFFICE.get(media_type):
        original = path.with_suffix(formats.BY_MEDIA_TYPE[source].endings[0])
        _make(source, original, folder)
        _save_by_libreoffice(original, path)
    elif content := _CONTENTS.get(media_type):
        path.write_bytes(content(folder))
    else:
        return False
    return True


def _delimited(separator: str) -> bytes:
    return "\n".join(separator.join(map(str, row)) for row in _ROWS).encode()


def _records_in_lines() -> bytes:
    return "\n".join(json.dumps(dict(zip(_ROWS[0], row, strict=True))) for row in _ROWS[1:]).encode()


def _presentation() -> bytes:
    made = Presentation()
    slide = made.slides.add_slide(made.slide_layouts[_TITLE_AND_CONTENT])
    slide.shapes.title.text = "Days by grade"
    slide.placeholders[1].text_frame.text = "Ask your manager\nTell the others of your team"
    place = (0, 4_000_000, 6_000_000, 2_000_000)
    table = slide.shapes.add_table(len(_ROWS), len(_ROWS[0]), *place).table
    for row, values in enumerate(_ROWS):
        for column, value in enumerate(values):
            table.cell(row, column).text = str(value)
    slide.notes_slide.notes_text_frame.text = "Say that leave is for employees of every grade."
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def _titled(made: Workbook) -> None:
    made.properties.title = "Leave"


def sheet_of_open_document(*rows: Sequence[object]) -> bytes:
    lines = ("".join(_CELL.format(value) for value in row) for row in rows)
    content = _ODS.format("".join(f"<table:table-row>{line}</table:table-row>" for line in lines))
    members = {"mimetype": formats.ODS, "META-INF/manifest.xml": _MANIFEST, "content.xml": content}
    return archive(members)


def _picture(kind: str, names: Sequence[str], folder: Path) -> bytes:
    """A page for each of the pictures named."""
    first, *others = [Image.open(folder / name).convert("L") for name in names]
    stream = io.BytesIO()
    first.save(stream, kind, **({"save_all": True, "append_images": others} if others else {}))
    return stream.getvalue()


def _archive(folder: Path) -> bytes:
    return archive({name: (folder / name).read_bytes() for name in ("README.md", "simple.json")})


_CONTENTS: Final[dict[str, Callable[[Path], bytes]]] = {
    formats.MARKDOWN: lambda _: TEXT.encode(),
    formats.PPTX: lambda _: _presentation(),
    formats.XLSX: lambda _: workbook(*map(list, _ROWS), prepare=_titled),
    formats.ODS: lambda _: sheet_of_open_document(*_ROWS),
    formats.CSV: lambda _: _delimited(","),
    formats.TSV: lambda _: _delimited("\t"),
    formats.XML: lambda _: _XML.encode(),
    formats.JSON: lambda _: json.dumps(_RECORDS).encode(),
    formats.JSON_LINES: lambda _: _records_in_lines(),
    formats.EML: lambda _: _MAIL.encode(),
    formats.PDF: partial(_picture, "PDF", ("double-column-A.jpg",)),
    formats.PNG: partial(_picture, "PNG", ("double-column-A.jpg",)),
    formats.TIFF: partial(_picture, "TIFF", ("double-column-A.jpg", "DA-1p.png")),
    formats.ZIP: _archive,
}


def _save_by_libreoffice(source: Path, path: Path) -> None:
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice is not installed")
    profile = f"-env:UserInstallation={(path.parent / 'profile').as_uri()}"
    command = [program, profile, "--headless", "--convert-to", path.suffix[1:], "--outdir", str(path.parent)]
    subprocess.run([*command, str(source)], check=True, capture_output=True, timeout=300)
