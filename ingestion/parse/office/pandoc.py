"""Formats that Pandoc converts to HTML, which is then parsed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from cairn.library.rendition import Rendition
from ingestion.parse.archives import zip_guard
from ingestion.parse.core import failures, formats
from ingestion.parse.core.limits import Limits
from ingestion.parse.html import html_document
from ingestion.parse.office import odt_metadata
from ingestion.parse.sandbox import programs
from ingestion.parse.text.cleaning import decode

_HEAP_SHARE: Final = 0.5  # of the memory that a file may take; its collector copies within that
_HEAP_EXHAUSTED: Final = 251
_NO_TITLE: Final = "<title>-</title>"
_ROW_END: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\row(?![a-z])")
"""Some programs define a table's row once for all that follow; Pandoc knows a new row by its definition."""
_CSV_TABLE: Final = re.compile(r"\s*\.\. csv-table::")
_OPTION: Final = re.compile(r"\s*:[\w-]+:")
_TITLE_BLOCK: Final = re.compile(r"<(/?)header\b")


def rst(path: Path, limits: Limits) -> Rendition:
    text = "\n".join(_drop_blank_rows(decode(path.read_bytes()).split("\n")))
    return _read_with_title(text, "rst", formats.RST, limits)


def _drop_blank_rows(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines without blank ones inside csv-table directives: Pandoc rejects the whole document."""
    margin: int | None = None  # of the directive that these lines belong to
    blank = list[str]()
    in_rows = False
    for line in lines:
        if not line.strip() and margin is not None:
            blank.append(line)
            continue
        indentation = len(line) - len(line.lstrip())
        if margin is not None and indentation <= margin:
            margin = None
        if margin is None or not in_rows:
            yield from blank
        blank.clear()
        in_rows = margin is not None and (in_rows or not _OPTION.match(line))
        if margin is None and _CSV_TABLE.match(line):
            margin, in_rows = indentation, False
        yield line
    yield from blank


def org(path: Path, limits: Limits) -> Rendition:
    return _read_with_title(decode(path.read_bytes()), "org", formats.ORG, limits)


def dokuwiki(path: Path, limits: Limits) -> Rendition:
    """Read DokuWiki's core syntax. Syntax of plugins remains as text: nothing is included or run."""
    return html_document.read(_html(path.read_bytes(), "dokuwiki", formats.DOKUWIKI, limits), limits)


def textile(path: Path, limits: Limits) -> Rendition:
    return html_document.read(_html(path.read_bytes(), "textile", formats.TEXTILE, limits), limits)


def rtf(path: Path, limits: Limits) -> Rendition:
    data = _ROW_END.sub(rb"\g<0>\\trowd", path.read_bytes())
    return html_document.read(_html(data, "rtf", formats.RTF, limits), limits, first_row_is_header=True)


def odt(path: Path, limits: Limits) -> Rendition:
    zip_guard.check(path, _noun(formats.ODT))
    page = _html(path.read_bytes(), "odt", formats.ODT, limits)
    found = html_document.read(page, limits, first_row_is_header=True)
    properties = odt_metadata.read(path)
    return replace(
        found, title=properties.pop("title", found.title), properties=found.properties | properties
    )


def epub(path: Path, limits: Limits) -> Rendition:
    zip_guard.check(path, _noun(formats.EPUB))
    return html_document.read(_html(path.read_bytes(), "epub", formats.EPUB, limits), limits)


def _noun(media_type: str) -> str:
    return formats.BY_MEDIA_TYPE[media_type].noun


def _read_with_title(text: str, reader: str, media_type: str, limits: Limits) -> Rendition:
    """Make the title the first heading, with the others below it."""
    page = _html(text.encode(), reader, media_type, limits, "--shift-heading-level-by=1")
    return html_document.read(_TITLE_BLOCK.sub(r"<\1div", page), limits)


def _html(data: bytes, reader: str, media_type: str, limits: Limits, *options: str) -> str:
    heap = f"-M{int(limits.memory_mb * _HEAP_SHARE)}m"
    arguments = ("--sandbox", "--standalone", "--wrap=none", "--from", reader, "--to", "html", *options)
    try:
        page = programs.run(programs.PANDOC, [*arguments, "+RTS", heap, "-RTS"], data=data, limits=limits)
    except programs.ProgramFailed as error:
        if error.returncode == _HEAP_EXHAUSTED:
            raise failures.memory_limit(limits.memory_mb) from error
        raise failures.damaged(_noun(media_type)) from error
    return page.decode(errors="replace").replace(_NO_TITLE, "", 1)
