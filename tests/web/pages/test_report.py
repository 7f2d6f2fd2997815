"""The facts and the processing report of a document."""

import io
import lzma
from typing import Any

import numpy as np
import pytest
from django.utils import translation
from py3langid.langid import MODEL_DIR, MODEL_FILE

from cairn.library.models import Document, DocumentVersion
from cairn.messages import CodedMessage
from ingestion.parse.core import formats
from web.pages.library.parse_report import document_facts, document_properties, document_report, language_name
from web.presentation.file_groups import LABELS

SURE = " (91% confidence)."


def of(media_type: str = formats.PDF, **fields: Any) -> Document:
    version = DocumentVersion(number=1, size=2048, media_type=media_type, **fields)
    return Document(title="Rules", latest_version=version)


@pytest.mark.parametrize(
    ("found", "done"),
    [
        ({}, ()),
        ({"tables": 1}, ("1 table, split by row with its header.",)),
        ({"tables": 1200}, ("1,200 tables, split by row with their headers.",)),
        (
            {"ocr_pages": [4], "ocr_confidence": 0.914},
            ("Page 4 read with text recognition" + SURE,),
        ),
        (
            {"ocr_pages": [5, 1, 2, 3]},
            ("Pages 1 to 3, 5 read with text recognition.",),
        ),
    ],
)
def test_report_lists_what_was_parsed(found: dict[str, Any], done: tuple[str, ...]) -> None:
    assert document_report(of(report=found)).done == done


@pytest.mark.parametrize(
    ("found", "lacking"),
    [
        ({"pages_without_text": [2]}, "No text found on page 2, so it isn’t searchable."),
        (
            {"truncated": True},
            "The document is too long; its end was cut off and isn’t searchable.",
        ),
        ({"warnings": ["A drawing was left out."]}, "A drawing was left out."),
    ],
)
def test_report_lists_what_is_missing(found: dict[str, Any], lacking: str) -> None:
    assert document_report(of(report=found)).lacking == (lacking,)


def test_report_uses_the_language_of_the_reader() -> None:
    hidden = CodedMessage("hidden_cells", name="Rates", what=CodedMessage("hidden_rows", count=2))
    suspicious = CodedMessage("suspicious_more", count=3)
    with translation.override("de"):
        report = document_report(of(report={"warnings": [hidden], "suspicious": [suspicious]}))
    assert report.lacking == ("Blatt „Rates“: 2 ausgeblendete Zeilen einbezogen.",)
    assert report.suspicious[0].startswith("3 weitere Textstellen")


def test_report_cuts_long_page_lists() -> None:
    [line] = document_report(of(report={"pages_without_text": list(range(1, 100, 2))})).lacking
    assert "23 and 38 more ranges," in line


def test_presentation_has_slides() -> None:
    slides = of(formats.PPTX, pages=7, report={"pages_without_text": [2, 3]})
    assert ("Slides", "7") in [(fact.label, fact.value) for fact in document_facts(slides)]
    assert "slides 2 to 3" in document_report(slides).lacking[0]


def test_mail_properties_begin_with_sender_and_recipient() -> None:
    properties = {"x_priority": "1", "subject": "Trip", "from": "ada@example.org", "cc": " "}
    shown = [(fact.label, fact.value) for fact in document_properties(of(properties=properties))]
    assert shown == [("From", "ada@example.org"), ("Subject", "Trip"), ("X priority", "1")]


@pytest.mark.parametrize(
    ("properties", "shown"),
    [
        ({"from": "ada", "date": "2022-12-23T12:08:48-06:00"}, ("Sent", "23 Dec 2022, 12:08 UTC-06:00")),
        ({"date": "2023-09-13T14:02:34.367419807"}, ("Date", "13 Sep 2023, 14:02")),
        ({"date": "2023-09-13"}, ("Date", "13 Sep 2023")),
        ({"date": "last spring"}, ("Date", "last spring")),
        ({"language": "de"}, ("Language", "German")),
    ],
)
def test_file_properties_are_labelled(properties: dict[str, str], shown: tuple[str, str]) -> None:
    fact = document_properties(of(properties=properties))[-1]
    assert (fact.label, fact.value) == shown


def detected() -> list[str]:
    """The codes that the detector may answer with: those of two letters."""
    with lzma.open(MODEL_DIR / MODEL_FILE) as packed, np.load(io.BytesIO(packed.read())) as model:
        return [code for code in model["classes"].tolist() if len(code) == 2]


def test_detected_languages_have_names() -> None:
    def language(code: str) -> str | None:
        return {fact.label: fact.value for fact in document_facts(of(language=code))}.get("Language")

    assert (language("de"), language("la"), language("xx"), language("")) == ("German", "Latin", "xx", None)
    assert [code for code in sorted(detected()) if language_name(code) == code] == []


def test_every_supported_format_has_a_kind_and_a_label() -> None:
    labelled = [media_type for labels in LABELS.values() for media_type in labels]
    assert sorted(one.media_type for one in formats.FORMATS) == sorted(labelled)


@pytest.mark.parametrize(
    ("uri", "link"),
    [
        ("https://wiki.example.org/index.php/Leave", "https://wiki.example.org/index.php/Leave"),
        ("leave/plan.md", ""),
        ("javascript:alert(1)", ""),
        ("https://ada:secret@wiki.example.org/", ""),
        ("mailto:ada@example.org", ""),
    ],
)
def test_source_is_linked_only_if_it_is_a_web_address(uri: str, link: str) -> None:
    document = of()
    document.source_uri = uri
    [source] = [fact for fact in document_facts(document) if fact.label == "Source"]
    assert (source.value, source.link) == (uri, link)
