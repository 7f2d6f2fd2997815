import base64
from hashlib import sha256
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.core.limits import Limits
from ingestion.parse.plaintext import plain


def test_blank_lines_part_paragraphs(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\n two \r\n\r\n \t\r\n  - three\r\n  - four\f\ffive")
    found = plain.parse(path, Limits()).elements
    assert [element.text for element in found] == ["one\n two", "- three\n- four", "five"]


def test_base64_text_is_decoded_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(base64.encodebytes("הודעה לכל העובדים על שינוי שעות העבודה".encode("iso8859_8")))
    found = plain.parse(path, Limits())
    assert found.elements[0].text == "הודעה לכל העובדים על שינוי שעות העבודה"
    assert found.report.warnings == ("The text was Base64-encoded and has been decoded.",)


@pytest.mark.parametrize("text", ["Internationalization", sha256(b"x").hexdigest(), "A" * 64])
def test_text_resembling_base64_is_preserved(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    assert plain.parse(path, Limits()).elements[0].text == text


def test_white_space_is_rejected_as_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b" \n\t\r\n" * 100)
    with pytest.raises(DocumentRejected) as caught:
        plain.parse(path, Limits())
    assert caught.value.reason is Rejection.NO_TEXT


@pytest.mark.parametrize("limits", [Limits(characters=99), Limits(pieces=99)], ids=["long", "in pieces"])
def test_text_beyond_the_limit_is_rejected(tmp_path: Path, limits: Limits) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"Yes.\n\n" * 100)
    with pytest.raises(DocumentRejected) as caught:
        plain.parse(path, limits)
    assert caught.value.reason is Rejection.TOO_LARGE
