"""What is stored in English, or told to programs, is told in the reader's language where a page shows it."""

import pytest
from django.utils import translation

from cairn.errors import Conflict, NotFound
from ingestion.parse.core import failures, report_notes
from web.i18n.localize import localize, number

TEXTS = [
    *(
        str(error.message)
        for error in (
            failures.empty_file(),
            failures.no_text(),
            failures.unsupported("a program", ".exe"),
            failures.unsupported("a program"),
            failures.mismatch(".pdf", "a picture"),
            failures.damaged("email"),
            failures.protected("archive"),
            failures.unsafe_archive("its content doesn’t match its description"),
            failures.nested_too_deep(3),
            failures.too_large(1000),
            failures.too_many_pieces(1000),
            failures.too_long(1000),
            failures.part_too_large(5 << 20),
            failures.too_many_pages(4000, 3000),
            failures.time_limit(120),
            failures.memory_limit(2048),
            failures.parser_crashed(),
            failures.cancelled(),
            NotFound(),
            Conflict(),
        )
    ),
    *report_notes.not_read(1, "image"),
    *report_notes.not_read(1200, "embedded object"),
    *report_notes.hidden(1),
    *report_notes.hidden(7),
    "page 4",
    "rows 5-7 (A5:D7)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_stored_is_told_in_german(text: str) -> None:
    with translation.override("de"):
        assert localize(text) != text
        assert "{" not in localize(text)
    with translation.override("en"):
        assert localize(text) == text


def test_what_was_put_in_is_kept_and_told_as_well() -> None:
    with translation.override("de"):
        assert localize("page 4") == "Seite 4"
        assert localize(failures.damaged("email").message).startswith("Die Datei (E-Mail) ist beschädigt")
        assert localize("The folder “{0}” is ours.") == "The folder “{0}” is ours."
        assert localize("A user named “{x}” already exists.") == "Es gibt schon ein Konto namens „{x}“."


def test_numbers_are_written_as_the_language_does() -> None:
    with translation.override("de"):
        assert (number(1234.567, 1), number(1234567), number(0.9996, 3)) == ("1.234,6", "1.234.567", "1,000")
    with translation.override("en"):
        assert (number(1234.567, 1), number(3.98, 0)) == ("1,234.6", "4")
