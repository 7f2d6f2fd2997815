"""Messages stored in English are shown in the reader's language."""

import json
import pickle
from collections.abc import Iterator
from string import Formatter
from typing import Any

import pytest
from django.db import connection
from django.utils import translation

from cairn import messages
from cairn.access.models import AccessCheck
from cairn.errors import Conflict, NotFound
from cairn.library.models import DocumentVersion
from cairn.messages import CATALOGUE, CodedMessage, Plural, Term
from ingestion.parse.core import failures
from web.i18n.localize import localize, number

EARLIER = [
    "The content is a program, which cannot be read. Save it in a format that can, and upload that: .pdf.",
    "1 image was skipped.",
    "1,200 embedded objects were skipped.",
    "Page 4 was skipped: text recognition failed.",
    "Pages 4-6 were skipped: text recognition failed.",
    "7 more files were skipped.",
    "Sheet “Rates”: 2 hidden rows and 1 hidden column included.",
    "page 4",
    "rows 5-7 (A5:D7)",
    NotFound().message,
    Conflict().message,
]


def _templates() -> Iterator[tuple[str, str]]:
    for code, template in CATALOGUE.items():
        for form in template if isinstance(template, Plural) else (template,):
            yield code, form


@pytest.mark.parametrize(("code", "template"), list(_templates()))
def test_each_message_has_german_with_the_same_blanks(code: str, template: str) -> None:
    names = set(_blanks(template)) | ({"count"} if isinstance(CATALOGUE[code], Plural) else set())
    for count in (1, 2):
        message = CodedMessage(code, **{name: count if name == "count" else f"<{name}>" for name in names})
        with translation.override("en"):
            assert localize(message) == message
        with translation.override("de"):
            german = localize(message)
        assert german != message or code in {"sentences", "list", "failed_file"}
        assert sorted(part for part in names if f"<{part}>" in german) == sorted(
            part for part in names if f"<{part}>" in message
        )


def _blanks(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]


@pytest.mark.parametrize("text", EARLIER)
def test_stored_text_without_a_code_is_translated(text: str) -> None:
    with translation.override("de"):
        assert localize(text) != text
        assert "{" not in localize(text)
    with translation.override("en"):
        assert localize(text) == text


def test_message_parameters_are_translated() -> None:
    with translation.override("de"):
        assert localize(failures.damaged("email").message).startswith("Die Datei (E-Mail) ist beschädigt")
        assert "ist: ein Programm. " in localize(failures.unsupported(Term("a program"), ".exe").message)
        assert ".tiff oder .zip" in localize(failures.unsupported(Term("a program")).message)
        assert "mehr als 1.000 ineinander" in localize(failures.nested_too_deep(1000).message)
        hidden = [CodedMessage("hidden_rows", count=1), CodedMessage("hidden_columns", count=2)]
        what = messages.join("both", *hidden)
        assert localize(CodedMessage("hidden_cells", name="email", what=what)) == (
            "Blatt „email“: 1 ausgeblendete Zeile und 2 ausgeblendete Spalten einbezogen."
        )


def test_texts_by_people_are_not_translated() -> None:
    with translation.override("de"):
        assert localize("The folder “{0}” is ours.") == "The folder “{0}” is ours."
        assert localize("A user named “{x}” already exists.") == "Es gibt schon ein Konto namens „{x}“."
        assert "„{x}“" in localize(CodedMessage("username_taken", username="{x}"))


@pytest.mark.parametrize(
    "message",
    [
        failures.empty_file().message,
        failures.unsupported(Term("a program"), ".exe").message,
        failures.nested_too_deep(3).message,
        CodedMessage("skipped_images", count=1200),
    ],
)
def test_message_preserves_its_code_when_serialised(message: str) -> None:
    for copy in (
        messages.from_json(json.loads(json.dumps(messages.to_json(message)))),
        pickle.loads(pickle.dumps(message)),
    ):
        assert isinstance(copy, CodedMessage)
        assert isinstance(message, CodedMessage)
        assert (copy, copy.code, copy.params) == (message, message.code, message.params)


@pytest.mark.parametrize(
    "params",
    [{}, {"count": "many"}, {"count": None}, {"count": [3]}, {"other": 1}],
)
def test_invalid_stored_message_is_shown_as_its_text(params: dict[str, Any]) -> None:
    for code in ("skipped_images", "no such code"):
        stored = {"message": code, "params": params, "text": "3 images were skipped."}
        assert messages.str_from_json(stored) == "3 images were skipped."
    with pytest.raises(ValueError, match="neither"):
        messages.str_from_json({"message": "skipped_images"})


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        failures.damaged("email").message,
        "The check was interrupted.",
        "",
        '{"message": "not_one", "params"',
        '{"message": "skipped_images"}',
    ],
)
def test_database_preserves_messages_and_texts_without_a_code(text: str) -> None:
    check = AccessCheck.objects.create(error=text)
    AccessCheck.objects.filter(pk=check.pk).update(error=text)
    found = AccessCheck.objects.get(pk=check.pk).error
    assert (found, type(found)) == (text, type(text))


def test_report_preserves_messages_and_texts_without_a_code() -> None:
    report = {"warnings": [failures.damaged("email").message, "1 image was skipped."], "tables": 2}
    field = DocumentVersion._meta.get_field("report")
    stored = field.get_db_prep_value(report, connection)
    found = field.from_db_value(stored, None, connection)
    assert found == report
    with translation.override("de"):
        assert localize(found["warnings"][0]).startswith("Die Datei (E-Mail)")
        assert localize(found["warnings"][1]) == "1 Bild wurde übersprungen."


def test_numbers_are_formatted_in_the_language() -> None:
    with translation.override("de"):
        assert (number(1234.567, 1), number(1234567), number(0.9996, 3)) == ("1.234,6", "1.234.567", "1,000")
    with translation.override("en"):
        assert (number(1234.567, 1), number(3.98, 0)) == ("1,234.6", "4")


def test_deeply_nested_message_becomes_its_text() -> None:
    stored: Any = "why"
    for _ in range(400):
        stored = {"message": "failed_file", "params": {"name": "a.pdf", "why": stored}, "text": "short"}
    assert len(messages.str_from_json(stored)) < 500


def test_message_contains_no_lone_surrogates() -> None:
    stored = {"message": "failed_file", "params": {"name": "a\ud800.pdf", "why": "x"}, "text": ""}
    assert messages.str_from_json(stored) == "a.pdf: x"
