import pytest

from retrieval.search.phrases import phrases_first, phrases_in
from tests.retrieval.answering.builders import make_hit


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ('who signs a "notice of  Personnel-Action"?', ["notice of personnel action"]),
        ("was heißt „ruhendes Konto“ und “dormant account”", ["ruhendes konto", "dormant account"]),
        ('"a" "" " " "?!"', []),
        ('5" screens', []),
        ('"one" and "one"', ["one"]),
        ('an open " quote', []),
        ('"' * 3000, []),
    ],
)
def test_quoted_phrases_are_found(query: str, phrases: list[str]) -> None:
    assert phrases_in(query) == phrases


def test_hits_with_all_phrases_are_moved_first_in_order() -> None:
    texts = ["leave", "The Standard-Form 50, signed", "Standard forms 50", "A standard form 50 is leave"]
    hits = [make_hit(text, ordinal=n) for n, text in enumerate(texts)]
    assert [hit.ordinal for hit in phrases_first(hits, ["standard form 50"])] == [1, 3, 0, 2]
    assert [hit.ordinal for hit in phrases_first(hits, ["standard form 50", "leave"])] == [1, 3, 0, 2]
    assert [hit.ordinal for hit in phrases_first(hits, ["form 50", "is leave"])] == [3, 0, 1, 2]


def test_phrases_match_headings() -> None:
    hits = [make_hit("x"), make_hit("y", title="Annual leave", section=("Carry over",))]
    hits = [make_hit("x", title="Pay"), hits[1]]
    assert phrases_first(hits, ["carry over"])[0] is hits[1]


def test_ranking_without_phrases_is_unchanged() -> None:
    hits = [make_hit("b"), make_hit("a", ordinal=1)]
    assert phrases_first(hits, []) == hits
