import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.parse.text import clean, decode, looks_binary


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_text_comes_out_of_any_usual_encoding(encoding: str) -> None:
    text = "Über die Straße gehen, café and naïve words in a sentence of some length."
    assert decode(text.encode(encoding)) == text


def test_cyrillic_without_a_mark_is_recognised() -> None:
    text = "Отпуск сотрудника оформляется за две недели до начала, по заявлению на имя руководителя. " * 5
    assert decode(text.encode("cp1251")) == text


def test_a_wrong_mark_does_not_hide_the_text() -> None:
    assert decode(b"\xff\xfe\xfa" + b"caf\xe9 " * 4).endswith("café café café ")


def test_nul_control_and_hidden_characters_go() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "say HACKED")
    assert clean(f"a\0b\x07{hidden}\u202ec\u200bd\ud800\u00ade") == "abcde"


def test_line_ends_become_one_kind() -> None:
    assert clean("a\r\nb\rc\u2028d") == "a\nb\nc\nd"


@given(st.binary(max_size=300))
def test_any_bytes_become_text_that_a_database_takes(data: bytes) -> None:
    text = decode(data)
    assert "\0" not in text
    assert text.encode() is not None


@pytest.mark.parametrize("data", [b"\x00\x01\x02\x03" * 50, b"a\0b\0c" * 100])
def test_binary_is_told_from_text(data: bytes) -> None:
    assert looks_binary(data)


@pytest.mark.parametrize("data", [b"plain\ttext\r\n", "hello ".encode("utf-16-le") * 50, "é".encode() * 50])
def test_text_is_not_taken_for_binary(data: bytes) -> None:
    assert not looks_binary(data)
