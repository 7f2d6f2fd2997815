from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse import plain
from ingestion.parse.limits import Limits


def test_blank_lines_part_paragraphs(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\n two \r\n\r\n \t\r\n  - three\r\n  - four\f\ffive")
    found = plain.parse(path, Limits()).elements
    assert [element.text for element in found] == ["one\n two", "- three\n- four", "five"]


def test_white_space_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b" \n\t\r\n" * 100)
    with pytest.raises(DocumentRejected) as caught:
        plain.parse(path, Limits())
    assert caught.value.reason is Rejection.NO_TEXT


def test_more_text_than_allowed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"word\n\n" * 100)
    with pytest.raises(DocumentRejected) as caught:
        plain.parse(path, Limits(characters=99))
    assert caught.value.reason is Rejection.TOO_LARGE
