import math

import pytest

from retrieval.bm25 import AVERAGE_TERMS, document_sparse, query_sparse


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
def test_forms_of_a_word_meet(query: str, document: str) -> None:
    assert shared(query, document) >= 1


@pytest.mark.parametrize("text", ["", "   ", "?!", "who is it", "wie ist das", "\0"])
def test_texts_without_content_have_no_terms(text: str) -> None:
    assert query_sparse(text).indices == document_sparse(text).indices == ()


def test_a_question_counts_each_term_once() -> None:
    vector = query_sparse("travel travel expenses travel")
    assert vector.values == (1.0, 1.0)


def test_repetition_saturates_and_length_costs() -> None:
    once, often = document_sparse("budget"), document_sparse("budget " * 50)
    assert once.values[0] < often.values[0] < 2.2  # k1 + 1
    long = document_sparse("budget " + " ".join(f"word{n}" for n in range(3 * AVERAGE_TERMS)))
    assert max(long.values) < once.values[0]


def test_what_cannot_be_encoded_is_left_out() -> None:
    assert query_sparse("bud\ud800get") == query_sparse("budget")
    assert all(math.isfinite(value) for value in document_sparse("a\ud800 b\0c budget").values)
