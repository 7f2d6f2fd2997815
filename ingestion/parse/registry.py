"""Registry of parsers by media type; runs in the child process."""

from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from unstructured.partition.text_type import sentence_count

from cairn.inference import language_identification
from cairn.library.rendition import Rendition
from ingestion.parse import images
from ingestion.parse.archives import embedded_files, zip_listing
from ingestion.parse.core import encoded_data, formats, language, report_notes
from ingestion.parse.core.limits import Limits
from ingestion.parse.data import json_records, xml_records
from ingestion.parse.detection import detect
from ingestion.parse.html import html_document
from ingestion.parse.mail import mail_message, outlook
from ingestion.parse.office import legacy_formats, pandoc, slides, word
from ingestion.parse.pdf import pdf_document
from ingestion.parse.plaintext import markdown, plain
from ingestion.parse.sandbox.loop import serve
from ingestion.parse.sheets import csv_files, workbooks
from ingestion.parse.text import cleaning, injection_detection

Parser = Callable[[Path, Limits], Rendition]

_WORDS: Final = "These are words. They are here to be read."
PARSERS: Final[dict[str, Parser]] = {
    formats.PDF: pdf_document.parse,
    formats.DOCX: word.parse,
    formats.DOC: legacy_formats.doc,
    formats.ODT: pandoc.odt,
    formats.RTF: pandoc.rtf,
    formats.EPUB: pandoc.epub,
    formats.HTML: html_document.parse,
    formats.XML: xml_records.parse,
    formats.JSON: json_records.parse,
    formats.JSON_LINES: json_records.parse_lines,
    formats.MARKDOWN: markdown.parse,
    formats.RST: pandoc.rst,
    formats.ORG: pandoc.org,
    formats.DOKUWIKI: pandoc.dokuwiki,
    formats.TEXTILE: pandoc.textile,
    formats.PPTX: slides.parse,
    formats.PPT: legacy_formats.ppt,
    formats.XLSX: workbooks.parse,
    formats.XLS: workbooks.parse,
    formats.ODS: workbooks.parse,
    formats.CSV: csv_files.parse,
    formats.TSV: csv_files.parse_tabs,
    formats.PLAIN: plain.parse,
    formats.EML: mail_message.parse,
    formats.MSG: outlook.parse,
    formats.PNG: images.parse,
    formats.JPEG: images.parse,
    formats.TIFF: images.parse,
    formats.ZIP: zip_listing.parse,
}


def parse_file(path: Path, filename: str, limits: Limits) -> tuple[str, Rendition]:
    """Return the media type and the rendition. Raises DocumentRejected."""
    media_type = detect.detect(path, filename)
    with cleaning.counting_hidden() as hidden:
        rendition = PARSERS[media_type](path, limits)
        properties = {name: cleaning.clean(value) for name, value in rendition.properties.items()}
    rendition = encoded_data.drop_encoded_data(rendition)
    rendition = replace(rendition, properties=properties, language=language.of(rendition.elements))
    warnings = (*rendition.report.warnings, *report_notes.build_count_note("invisible_characters", hidden()))
    suspicious = injection_detection.describe_findings(rendition)
    return media_type, replace(
        rendition, report=replace(rendition.report, warnings=warnings, suspicious=suspicious)
    )


def main(connection: Connection) -> None:
    serve(connection, _handle, at_rest=_load_models)


def _load_models() -> None:
    """Load the language and sentence models, which takes half a second, before the first request."""
    language_identification.identify(_WORDS)
    sentence_count(_WORDS)


def _handle(
    limits: Limits, path: str, filename: str, part: int | None = None
) -> tuple[dict[str, Any], bytes]:
    if part is not None:
        return {}, embedded_files.read(Path(path), filename, part, limits)
    media_type, rendition = parse_file(Path(path), filename, limits)
    parts = embedded_files.names(Path(path), media_type, limits)
    return {"media_type": media_type, "rendition": rendition.as_json(), "parts": parts}, b""
