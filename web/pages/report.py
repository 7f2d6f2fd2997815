"""What is known of a document, and what was and was not read of it, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf.locale import LANG_INFO
from django.template.defaultfilters import filesizeformat

from cairn.library.models import Document, DocumentVersion
from ingestion.parse import formats

SHOWN_NUMBERS: Final = 12
TYPES: Final = {
    formats.PDF: "PDF",
    formats.DOCX: "Word",
    formats.DOC: "Word 97-2003",
    formats.ODT: "OpenDocument text",
    formats.RTF: "Rich text",
    formats.EPUB: "E-book",
    formats.PPTX: "PowerPoint",
    formats.PPT: "PowerPoint 97-2003",
    formats.XLSX: "Excel",
    formats.XLS: "Excel 97-2003",
    formats.ODS: "OpenDocument spreadsheet",
    formats.CSV: "CSV",
    formats.TSV: "TSV",
    formats.HTML: "HTML",
    formats.XML: "XML",
    formats.JSON: "JSON",
    formats.JSON_LINES: "JSON Lines",
    formats.MARKDOWN: "Markdown",
    formats.RST: "reStructuredText",
    formats.ORG: "Org",
    formats.PLAIN: "Text",
    formats.EML: "Mail",
    formats.MSG: "Outlook mail",
    formats.PNG: "PNG picture",
    formats.JPEG: "JPEG picture",
    formats.TIFF: "TIFF picture",
    formats.ZIP: "ZIP archive",
}
PAGED: Final = {formats.PPTX: "slide", formats.PPT: "slide"}
"""What a page is called where it is not called a page."""
LANGUAGES: Final = {
    "am": "Amharic", "an": "Aragonese", "as": "Assamese", "ba": "Bashkir", "dz": "Dzongkha", "fo": "Faroese",
    "gu": "Gujarati", "ha": "Hausa", "ht": "Haitian Creole", "jv": "Javanese", "ku": "Kurdish", "la": "Latin",
    "lg": "Ganda", "ln": "Lingala", "lo": "Lao", "mg": "Malagasy", "mt": "Maltese", "oc": "Occitan",
    "om": "Oromo", "or": "Odia", "ps": "Pashto", "qu": "Quechua", "rw": "Kinyarwanda", "sa": "Sanskrit",
    "se": "Northern Sami", "si": "Sinhala", "sn": "Shona", "so": "Somali", "st": "Southern Sotho",
    "tl": "Tagalog", "vo": "Volapük", "wa": "Walloon", "xh": "Xhosa", "yo": "Yoruba", "zh": "Chinese",
    "zu": "Zulu",
}  # fmt: skip
"""Those that are detected and that Django has no name for."""
NAMES: Final = {"from": "From", "to": "To", "cc": "Copy to", "date": "Sent", "subject": "Subject"}


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Report:
    """`done` is what was read; `lacking` is what a reader must know is missing.

    `suspicious` tells of passages that read like instructions to a language model.
    """

    done: tuple[str, ...]
    lacking: tuple[str, ...]
    suspicious: tuple[str, ...] = ()


def page_word(version: DocumentVersion | None) -> str:
    return PAGED.get(version.media_type, "page") if version else "page"


def document_facts(document: Document) -> list[Fact]:
    version = document.shown_version
    facts = [*(_version_facts(version) if version else ()), *_own_facts(document)]
    return [Fact(label, value) for label, value in facts if value]


def _version_facts(version: DocumentVersion) -> list[tuple[str, str]]:
    return [
        ("Type", TYPES.get(version.media_type, version.media_type)),
        ("Size", str(filesizeformat(version.size)).replace("\xa0", " ")),
        (f"{page_word(version).capitalize()}s", str(version.pages or "")),
        ("Passages", str(version.chunk_count or "")),
        ("Version", str(version.number)),
        ("Language", language_name(version.language or "")),
    ]


def _own_facts(document: Document) -> list[tuple[str, str]]:
    return [
        ("Added", f"{document.created_at:%-d %b %Y}"),
        ("Source", document.source_uri),
    ]


def document_properties(document: Document) -> list[Fact]:
    """What the file says of itself: a mail's sender and date first, in the order that people read."""
    version = document.shown_version
    said: dict[str, Any] = version.properties if version else {}
    names = [*(name for name in NAMES if name in said), *(name for name in said if name not in NAMES)]
    facts = (Fact(_label(name, said), _value(name, str(said[name]))) for name in names)
    return [fact for fact in facts if fact.value.strip()]


def _label(name: str, said: dict[str, Any]) -> str:
    if name == "date" and "from" not in said:
        return "Dated"
    return NAMES.get(name, name.replace("_", " ").capitalize())


def _value(name: str, said: str) -> str:
    if name == "language":
        return language_name(said)
    return _moment(said) if name == "date" else said


def _moment(said: str) -> str:
    """In the writer's own time; as it is said where it is none."""
    try:
        when = datetime.fromisoformat(said)
    except ValueError:
        return said
    return f"{when:%-d %b %Y, %H:%M %Z}".rstrip() if "T" in said else f"{when:%-d %b %Y}"


def language_name(code: str) -> str:
    """The code itself where no name is known."""
    known: dict[str, Any] = LANG_INFO.get(code, {})
    return str(known.get("name") or LANGUAGES.get(code, code))


def document_report(document: Document) -> Report:
    version = document.shown_version
    found: dict[str, Any] = version.report if version else {}
    page = page_word(version)
    return Report(
        tuple(_done(found, page)),
        tuple(_lacking(found, page)),
        tuple(str(line) for line in found.get("suspicious", ())),
    )


def _done(found: dict[str, Any], page: str) -> list[str]:
    lines = []
    if scanned := found.get("ocr_pages"):
        lines.append(f"{_pages(scanned, page).capitalize()} had no text of {_their(scanned)} own and "
                     f"{_was(scanned)} read by text recognition{_sureness(found)}.")  # fmt: skip
    if tables := found.get("tables"):
        lines.append(f"{tables:,} table{'' if tables == 1 else 's'} kept row by row, each with its header.")
    return lines


def _sureness(found: dict[str, Any]) -> str:
    sure = found.get("ocr_confidence")
    return "" if sure is None else f", which was {sure:.0%} sure of the words"


def _lacking(found: dict[str, Any], page: str) -> list[str]:
    lines = []
    if blank := found.get("pages_without_text"):
        lines.append(f"No text was found on {_pages(blank, page)}; nothing there can be found or quoted.")
    if found.get("truncated"):
        lines.append("The document is longer than is read; its end was cut off and cannot be found.")
    return [*lines, *(str(item) for item in found.get("warnings", ()))]


def _pages(numbers: Sequence[int], page: str) -> str:
    """`pages 3 to 5, 9`; only so many of a long list."""
    spans = [f"{a}" if a == b else f"{a} to {b}" for a, b in _spans(numbers)]
    more = len(spans) - SHOWN_NUMBERS
    shown = ", ".join(spans[:SHOWN_NUMBERS]) + (f" and {more} more stretches" if more > 0 else "")
    return f"{page}{'' if len(numbers) == 1 else 's'} {shown}"


def _spans(numbers: Sequence[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans


def _their(numbers: Sequence[int]) -> str:
    return "its" if len(numbers) == 1 else "their"


def _was(numbers: Sequence[int]) -> str:
    return "was" if len(numbers) == 1 else "were"
