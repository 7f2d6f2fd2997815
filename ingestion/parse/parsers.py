"""Registry of parsers by media type; runs in the child process."""

from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from unstructured.partition.text_type import sentence_count

from cairn.library.rendition import Rendition
from ingestion.parse import (
    archive_listing,
    contained,
    delimited,
    detect,
    formats,
    hypertext,
    images,
    instructions,
    json_records,
    language,
    language_model,
    mail,
    markdown,
    notes,
    office,
    outlook,
    pandoc,
    pdf,
    plain,
    sheets,
    slides,
    text,
    word,
    xml_records,
)
from ingestion.parse.limits import Limits
from ingestion.parse.serve import serve

Parser = Callable[[Path, Limits], Rendition]

_WORDS: Final = "These are words. They are here to be read."
PARSERS: Final[dict[str, Parser]] = {
    formats.PDF: pdf.parse,
    formats.DOCX: word.parse,
    formats.DOC: office.doc,
    formats.ODT: pandoc.odt,
    formats.RTF: pandoc.rtf,
    formats.EPUB: pandoc.epub,
    formats.HTML: hypertext.parse,
    formats.XML: xml_records.parse,
    formats.JSON: json_records.parse,
    formats.JSON_LINES: json_records.parse_lines,
    formats.MARKDOWN: markdown.parse,
    formats.RST: pandoc.rst,
    formats.ORG: pandoc.org,
    formats.PPTX: slides.parse,
    formats.PPT: office.ppt,
    formats.XLSX: sheets.parse,
    formats.XLS: sheets.parse,
    formats.ODS: sheets.parse,
    formats.CSV: delimited.parse,
    formats.TSV: delimited.parse_tabs,
    formats.PLAIN: plain.parse,
    formats.EML: mail.parse,
    formats.MSG: outlook.parse,
    formats.PNG: images.parse,
    formats.JPEG: images.parse,
    formats.TIFF: images.parse,
    formats.ZIP: archive_listing.parse,
}


def parse_file(path: Path, filename: str, limits: Limits) -> tuple[str, Rendition]:
    """Return the media type and the rendition. Raises DocumentRejected."""
    media_type = detect.detect(path, filename)
    with text.counting_hidden() as hidden:
        rendition = PARSERS[media_type](path, limits)
        properties = {name: text.clean(value) for name, value in rendition.properties.items()}
    rendition = replace(rendition, properties=properties, language=language.of(rendition.elements))
    warnings = (*rendition.report.warnings, *notes.hidden(hidden()))
    suspicious = instructions.describe_findings(rendition)
    return media_type, replace(
        rendition, report=replace(rendition.report, warnings=warnings, suspicious=suspicious)
    )


def main(connection: Connection) -> None:
    serve(connection, _handle, at_rest=_load_models)


def _load_models() -> None:
    """Load the language and sentence models, which takes half a second, before the first request."""
    language_model.identify(_WORDS)
    sentence_count(_WORDS)


def _handle(
    limits: Limits, path: str, filename: str, part: int | None = None
) -> tuple[dict[str, Any], bytes]:
    if part is not None:
        return {}, contained.read(Path(path), filename, part, limits)
    media_type, rendition = parse_file(Path(path), filename, limits)
    parts = contained.names(Path(path), media_type, limits)
    return {"media_type": media_type, "rendition": rendition.as_json(), "parts": parts}, b""
