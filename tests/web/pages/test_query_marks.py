"""Marked words in a text, and the part of a long text that is shown."""

import time

import pytest

from web.presentation.query_marks import excerpt, find_parts, find_words, mark_found


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("", "Leave", "Leave"),
        ("le LEAVE", "Leave rules", "[Leave] ru[le]s"),
        ("a.*", "a.* <a>", "[a.*] &lt;a&gt;"),
        ("<script>", "<script>alert(1)</script>", "[&lt;script&gt;]alert(1)&lt;/script&gt;"),
        ("&amp;", "&amp; &", "[&amp;amp;] &amp;"),
        ("straße", "STRASSE Straße", "STRASSE [Straße]"),
    ],
)
def test_matching_parts_of_words_are_marked(query: str, text: str, marked: str) -> None:
    assert mark_found(text, find_parts(query)) == marked.replace("[", "<mark>").replace("]", "</mark>")


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("the of and", "The cost of it", "The cost of it"),
        ("What do trips cost?", "A trip's costs: no costume", "A [trip&#x27;s] [costs]: no costume"),
        ("the war of whales", "A war of Wales and a whale", "A [war] of Wales and a [whale]"),
        ("Was kosten Häuser?", "Das Haus kostet viel.", "Das [Haus] [kostet] viel."),
        ("年次休暇", "その年次休暇は", "その[年次][休暇]は"),
        ("permissions of a document", "The permission of a document", "The [permission] of a [document]"),
        ("<b>", "<b>", "&lt;b&gt;"),
    ],
)
def test_words_with_equal_stems_are_marked(query: str, text: str, marked: str) -> None:
    assert mark_found(text, find_words(query)) == marked.replace("[", "<mark>").replace("]", "</mark>")


def test_excerpt_contains_the_first_match() -> None:
    find = find_words("leave")
    assert excerpt("leave " * 4, find, characters=100) == "leave " * 4
    assert excerpt("leave it " * 40, find, characters=20) == "leave it leave it le…"
    late = excerpt("word " * 60 + "leave", find, characters=80)
    assert late.startswith("…word")
    assert late.endswith("leave")
    assert len(excerpt("x" * 5000, find, characters=80)) == 81


@pytest.mark.slow
def test_hostile_texts_are_marked_quickly() -> None:
    began = time.monotonic()
    mark_found("a " * 50_000 + "a" * 50_000, find_words("a" * 200))
    mark_found("a" * 100_000, find_parts("a " * 100))
    assert time.monotonic() - began < 5
