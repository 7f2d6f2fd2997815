"""Web addresses that a text has written out."""

import time

import pytest

from cairn.library.links import Link, bare_links


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://example.org/a?b=1#c.", {"https://example.org/a?b=1#c": "https://example.org/a?b=1#c"}),
        ("(http://example.org/a_(b)), or", {"http://example.org/a_(b)": "http://example.org/a_(b)"}),
        ("😀 “HTTPS://Example.org/Ä”", {"HTTPS://Example.org/Ä": "https://example.org/%C3%84"}),
        ("https://b\u00fccher.example", {"https://b\u00fccher.example": "https://xn--bcher-kva.example"}),
        ("https://bank.example@evil.example/", {}),
        ("javascript:alert(1) ftp://example.org www.example.org mailto:a@example.org", {}),
        ("xhttps://example.org https:// https://%00", {}),
    ],
)
def test_safe_bare_links_are_found(text: str, found: dict[str, str]) -> None:
    assert {text[link.start : link.end]: link.url for link in bare_links(text)} == found


def test_existing_link_is_not_found_again() -> None:
    text = "https://a.example and https://b.example"
    known = (Link(8, 17, "https://other.example"),)
    assert [link.url for link in bare_links(text, known)] == ["https://b.example"]


def test_hostile_texts_are_searched_quickly() -> None:
    began = time.monotonic()
    assert len(bare_links("https://example.org " * 50_000)) == 200
    bare_links("https://" + ")" * 500_000)
    bare_links("https://" * 100_000)
    assert time.monotonic() - began < 5
