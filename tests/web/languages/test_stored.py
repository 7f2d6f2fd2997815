"""What is stored in English, or told to programs, is told in the reader's language where a page shows it."""

import pytest
from django.utils import translation

from cairn.errors import Conflict, NotFound
from ingestion.parse import notes, reject
from web.telling import localize, number

TEXTS = [
    *(
        str(error.message)
        for error in (
            reject.empty_file(),
            reject.no_text(),
            reject.unsupported("a program", ".exe"),
            reject.unsupported("a program"),
            reject.mismatch(".pdf", "a picture"),
            reject.damaged("email"),
            reject.protected("archive"),
            reject.unsafe_archive("its content doesn’t match its description"),
            reject.nested_too_deep(3),
            reject.too_large(1000),
            reject.too_many_pieces(1000),
            reject.too_long(1000),
            reject.part_too_large(5 << 20),
            reject.too_many_pages(4000, 3000),
            reject.time_limit(120),
            reject.memory_limit(2048),
            reject.parser_crashed(),
            reject.cancelled(),
            NotFound(),
            Conflict(),
        )
    ),
    *notes.not_read(1, "image"),
    *notes.not_read(1200, "embedded object"),
    *notes.hidden(1),
    *notes.hidden(7),
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
        assert localize(reject.damaged("email").message).startswith("Die Datei (E-Mail) ist beschädigt")
        assert localize("The folder “{0}” is ours.") == "The folder “{0}” is ours."
        assert localize("A user named “{x}” already exists.") == "Es gibt schon ein Konto namens „{x}“."


def test_numbers_are_written_as_the_language_does() -> None:
    with translation.override("de"):
        assert (number(1234.567, 1), number(1234567), number(0.9996, 3)) == ("1.234,6", "1.234.567", "1,000")
    with translation.override("en"):
        assert (number(1234.567, 1), number(3.98, 0)) == ("1,234.6", "4")
