import math
from dataclasses import astuple

import pytest

from retrieval.search.bm25 import AVERAGE_TERMS, OTHER_SPELLING, document_sparse, query_sparse
from retrieval.search.query_expansion import other_spellings


def shared(query: str, document: str) -> int:
    return len(set(query_sparse(query).indices) & set(document_sparse(document).indices))


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("donating leaves", "Leave can be donated."),
        ("DA-1p form", "Use form DA-1P."),
        ("Gebuhr", "Die Gebühr beträgt 12 €."),
        ("Kündigungsfrist", "Es gilt die gesetzliche Kündigungsfrist."),
        ("Urlaubstage", "Ein Urlaubstag verfällt nie."),
    ],
)
def test_inflected_forms_share_a_term(query: str, document: str) -> None:
    assert shared(query, document) >= 1


@pytest.mark.parametrize(
    ("query", "document", "terms"),
    [
        (query, document, 2)
        for query in ("SF-50", "SF 50", "sf50", "SF50", "sf\u201150", "sf\u201350")
        for document in ("Use form SF-50.", "Use form SF 50.", "use sf\u201150")
    ]
    + [(query, "Use form SF50.", 1) for query in ("SF-50", "SF 50", "sf 50", "sf50", "sf\u201350")]
    + [
        ("GS12", "grade GS-12", 2),
        ("gs 12", "grade GS12", 1),
        ("5CFR630", "under 5 CFR \u00a7630", 3),
        ("5 CFR 630", "under 5 CFR 630.", 3),
        ("401(k)", "a 401k plan", 1),
        ("401k", "a 401(k) plan", 1),
        ("I-9", "form I9", 1),
    ],
)
def test_codes_match_in_every_spelling(query: str, document: str, terms: int) -> None:
    assert shared(query, document) == terms


def test_other_spelling_has_a_lower_weight() -> None:
    assert dict(zip(*astuple(query_sparse("SF50")), strict=True)) == {
        **dict.fromkeys(query_sparse("SF 50").indices[:2], OTHER_SPELLING),
        document_sparse("SF50").indices[0]: 1.0,
    }


@pytest.mark.parametrize("text", ["the 2nd page", "p53", "I9", "well-known either/or", "1990s", ""])
def test_ordinary_words_have_one_spelling(text: str) -> None:
    assert other_spellings(text) == []


@pytest.mark.parametrize("text", ["", "   ", "?!", "who is it", "wie ist das", "\0"])
def test_texts_without_content_have_no_terms(text: str) -> None:
    assert query_sparse(text).indices == document_sparse(text).indices == ()


def test_query_counts_each_term_once() -> None:
    vector = query_sparse("travel travel expenses travel")
    assert vector.values == (1.0, 1.0)


def test_repetition_saturates_and_length_costs() -> None:
    once, often = document_sparse("budget"), document_sparse("budget " * 50)
    assert once.values[0] < often.values[0] < 2.2  # k1 + 1
    long = document_sparse("budget " + " ".join(f"word{n}" for n in range(3 * AVERAGE_TERMS)))
    assert max(long.values) < once.values[0]


def test_unencodable_text_is_dropped() -> None:
    assert query_sparse("bud\ud800get") == query_sparse("budget")
    assert all(math.isfinite(value) for value in document_sparse("a\ud800 b\0c budget").values)
