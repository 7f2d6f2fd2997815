"""A document's metadata, and its processing report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf.locale import LANG_INFO
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_lazy, gettext_noop, ngettext, pgettext_lazy

from cairn.library.links import safe_url
from cairn.library.models import Document, DocumentVersion
from ingestion.parse.core import formats
from web.i18n.localize import localize, number, size
from web.presentation.file_groups import label_of

SHOWN_NUMBERS: Final = 12
SLIDES: Final = frozenset({formats.PPTX, formats.PPT})
"""What has slides where others have pages."""
LANGUAGES: Final = {
    "am": gettext_noop("Amharic"),
    "an": gettext_noop("Aragonese"),
    "as": gettext_noop("Assamese"),
    "ba": gettext_noop("Bashkir"),
    "dz": gettext_noop("Dzongkha"),
    "fo": gettext_noop("Faroese"),
    "gu": gettext_noop("Gujarati"),
    "ha": gettext_noop("Hausa"),
    "ht": gettext_noop("Haitian Creole"),
    "jv": gettext_noop("Javanese"),
    "ku": gettext_noop("Kurdish"),
    "la": gettext_noop("Latin"),
    "lg": gettext_noop("Ganda"),
    "ln": gettext_noop("Lingala"),
    "lo": gettext_noop("Lao"),
    "mg": gettext_noop("Malagasy"),
    "mt": gettext_noop("Maltese"),
    "oc": gettext_noop("Occitan"),
    "om": gettext_noop("Oromo"),
    "or": gettext_noop("Odia"),
    "ps": gettext_noop("Pashto"),
    "qu": gettext_noop("Quechua"),
    "rw": gettext_noop("Kinyarwanda"),
    "sa": gettext_noop("Sanskrit"),
    "se": gettext_noop("Northern Sami"),
    "si": gettext_noop("Sinhala"),
    "sn": gettext_noop("Shona"),
    "so": gettext_noop("Somali"),
    "st": gettext_noop("Southern Sotho"),
    "tl": gettext_noop("Tagalog"),
    "vo": gettext_noop("Volapük"),
    "wa": gettext_noop("Walloon"),
    "xh": gettext_noop("Xhosa"),
    "yo": gettext_noop("Yoruba"),
    "zh": gettext_noop("Chinese"),
    "zu": gettext_noop("Zulu"),
}
"""Those that are detected and that Django has no name for."""
NAMES: Final = {
    "from": pgettext_lazy("of a mail", "From"),
    "to": pgettext_lazy("of a mail", "To"),
    "cc": gettext_lazy("Cc"),
    "date": pgettext_lazy("of a mail", "Sent"),
    "subject": gettext_lazy("Subject"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """`link` is an address that people may follow, such as the page of a wiki that a document comes from."""

    label: str
    value: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """`done` describes what was read; `lacking` what is missing.

    `suspicious` describes passages that look like instructions to a language model.
    """

    done: tuple[str, ...]
    lacking: tuple[str, ...]
    suspicious: tuple[str, ...] = ()


def page_word(version: DocumentVersion | None) -> str:
    """Return the heading for page numbers."""
    return gettext("Slide") if _has_slides(version) else gettext("Page")


def _has_slides(version: DocumentVersion | None) -> bool:
    return version is not None and version.media_type in SLIDES


def document_facts(document: Document) -> list[Fact]:
    version = document.shown_version
    facts = [*(_version_facts(version) if version else ()), *_own_facts(document)]
    shown = [Fact(label, value) for label, value in facts if value]
    source = Fact(gettext("Source"), document.source_uri, _web_address(document.source_uri))
    return [*shown, source] if document.source_uri else shown


def _web_address(uri: str) -> str:
    return (safe_url(uri) or "") if uri.startswith(("https://", "http://")) else ""


def _version_facts(version: DocumentVersion) -> list[tuple[str, str]]:
    return [
        (gettext("Type"), label_of(version.media_type)),
        (gettext("Size"), size(version.size).replace("\xa0", " ")),
        (gettext("Slides") if _has_slides(version) else gettext("Pages"), str(version.pages or "")),
        (gettext("Passages"), str(version.chunk_count or "")),
        (gettext("Version"), str(version.number)),
        (gettext("Language"), language_name(version.language or "")),
    ]


def _own_facts(document: Document) -> list[tuple[str, str]]:
    return [
        (gettext("Added"), date_format(document.created_at, "SHORT_DATE_FORMAT")),
    ]


def document_properties(document: Document) -> list[Fact]:
    """Return metadata of the file in reading order, such as a mail's sender and date first."""
    version = document.shown_version
    properties: dict[str, Any] = version.properties if version else {}
    names = [
        *(name for name in NAMES if name in properties),
        *(name for name in properties if name not in NAMES),
    ]
    facts = (Fact(_label(name, properties), _value(name, str(properties[name]))) for name in names)
    return [fact for fact in facts if fact.value.strip()]


def _label(name: str, properties: dict[str, Any]) -> str:
    if name == "date" and "from" not in properties:
        return gettext("Date")
    return str(NAMES.get(name) or gettext(name.replace("_", " ").capitalize()))


def _value(name: str, value: str) -> str:
    if name == "language":
        return language_name(value)
    return _moment(value) if name == "date" else value


def _moment(text: str) -> str:
    """Format a time in the writer's time zone; invalid ones are returned unchanged."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    day = date_format(when, "SHORT_DATE_FORMAT")
    return f"{day}, {when:%H:%M %Z}".rstrip() if "T" in text else day


def language_name(code: str) -> str:
    """Return the language's name, or the code if unknown."""
    known: dict[str, Any] = LANG_INFO.get(code, {})
    return gettext(str(known.get("name") or LANGUAGES.get(code, code)))


def document_report(document: Document) -> Report:
    version = document.shown_version
    found: dict[str, Any] = version.report if version else {}
    slides = _has_slides(version)
    return Report(
        tuple(_describe_results(found, slides)),
        tuple(_describe_missing(found, slides)),
        tuple(map(localize, found.get("suspicious", ()))),
    )


def _describe_results(found: dict[str, Any], slides: bool) -> Iterator[str]:
    if scanned := found.get("ocr_pages"):
        yield _describe_text_recognition(_pages(scanned, slides), len(scanned), found.get("ocr_confidence"))
    if tables := found.get("tables"):
        line = ngettext(
            "{n} table, split by row with its header.",
            "{n} tables, split by row with their headers.",
            tables,
        )
        yield line.format(n=number(tables))


def _describe_text_recognition(pages: str, count: int, sure: float | None) -> str:
    if sure is None:
        line = ngettext(
            "{pages} read with text recognition.",
            "{pages} read with text recognition.",
            count,
        )
        return line.format(pages=_capital(pages))
    line = ngettext(
        "{pages} read with text recognition ({sure} confidence).",
        "{pages} read with text recognition ({sure} confidence).",
        count,
    )
    return line.format(pages=_capital(pages), sure=f"{sure:.0%}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _describe_missing(found: dict[str, Any], slides: bool) -> Iterator[str]:
    if blank := found.get("pages_without_text"):
        line = gettext("No text found on {pages}, so it isn’t searchable.")
        yield line.format(pages=_pages(blank, slides))
    if found.get("truncated"):
        yield gettext("The document is too long; its end was cut off and isn’t searchable.")
    yield from map(localize, found.get("warnings", ()))


def _pages(numbers: Sequence[int], slides: bool) -> str:
    """Format page numbers, `pages 3 to 5, 9`; long lists are shortened."""
    spans = [
        str(a) if a == b else gettext("{first} to {last}").format(first=a, last=b) for a, b in _spans(numbers)
    ]
    more = len(spans) - SHOWN_NUMBERS
    shown = ", ".join(spans[:SHOWN_NUMBERS])
    if more > 0:
        shown = gettext("{pages} and {n} more ranges").format(pages=shown, n=more)
    if slides:
        return ngettext("slide {numbers}", "slides {numbers}", len(numbers)).format(numbers=shown)
    return ngettext("page {numbers}", "pages {numbers}", len(numbers)).format(numbers=shown)


def _spans(numbers: Sequence[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for each in sorted(numbers):
        if spans and each == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], each)
        else:
            spans.append((each, each))
    return spans
