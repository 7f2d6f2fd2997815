"""Changed sentences, drawn and checked, and their table; with the real models in slow tests."""

from collections import Counter

import pytest

from cairn.inference.registry import embedder
from tests.evaluation.joined_sentences import draw_joined
from tests.evaluation.sets import REPORTED, TUNED, load_documents, load_tuning_sentences, load_written
from tests.evaluation.support import (
    CHANGED_SETS,
    CHANGES_PER_GROUP,
    Checked,
    build_support_table,
    check_changed,
    draw_changes,
    open_packaged_reranker,
    passes,
)
from tests.fakes import FakeEmbedder, FakeReranker

MAX_CHANGED = 0.01
WRITTEN = [name for name in (*TUNED, *REPORTED) if load_written(name)]


def test_one_word_of_document_sentences_is_changed() -> None:
    texts = [" ".join(document.text.split()) for document in load_documents("operations")]
    drawn = draw_changes(["operations"], 5, seed=1)
    assert Counter(each.group for each in drawn) == dict.fromkeys(
        ("number", "name", "date", "negation", "only, except"), 5
    )
    for each in drawn:
        assert any(each.change.original in text for text in texts)
        assert each.change.text != each.change.original
        assert each.change.text not in each.passage
    assert drawn == draw_changes(["operations"], 5, seed=1)
    assert drawn != draw_changes(["operations"], 5, seed=2)


def test_joins_the_subject_of_one_sentence_with_the_predicate_of_another() -> None:
    texts = [
        "The annual report is printed by the office.",
        "All fees are approved by the board of directors.",
    ]
    drawn = draw_joined([("Duties", "\n".join(texts), text) for text in texts], 5, seed=1)
    groups: dict[str, set[str]] = {}
    for each in drawn:
        groups.setdefault(each.group, set()).add(each.text)
    assert set(groups) == {"halves, other voice", "true, other voice"}, "is and are don't agree"
    assert groups["halves, other voice"] <= {
        "The office printed all fees.",
        "The board approved the annual report.",
    }
    assert groups["true, other voice"] <= {
        "The office printed the annual report.",
        "The board approved all fees.",
    }


def test_sentences_of_reported_sets_are_changed_separately() -> None:
    assert set(CHANGED_SETS["tuned"]) <= set(TUNED)
    assert set(CHANGED_SETS["reported"]) <= set(REPORTED)


def test_written_sentences_of_reported_sets_cannot_be_loaded_for_tuning() -> None:
    with pytest.raises(ValueError, match="no set to tune on"):
        load_tuning_sentences("company")
    assert load_tuning_sentences("product")


@pytest.mark.parametrize("name", WRITTEN)
def test_passages_of_written_sentences_are_from_the_set(name: str) -> None:
    titles = {document.title for document in load_documents(name)}
    for written in load_written(name):
        assert written.passages
        assert {hit["title"] for hits in written.passages for hit in hits} <= titles


def test_result_table_sums_tuned_and_reported_sets() -> None:
    found = [
        *(("product", Checked("true", "", "", passed=passed)) for passed in (True, False)),
        ("operations", Checked("true", "", "", passed=True)),
        ("changed, tuned", Checked("unchanged", "", "", passed=True)),
        ("changed, tuned", Checked("name", "", "", passed=False)),
        ("changed, tuned", Checked("date", "", "", passed=True)),
    ]
    columns = [list(column.cells) for column in build_support_table(found).columns]
    rows = [tuple(row) for row in zip(*columns, strict=True)]
    assert ("all tuned", "true", "3", "2", "0.667", "0.208 to 0.939") in rows
    assert ("changed, tuned", "all changes", "2", "1", "0.500", "0.095 to 0.905") in rows
    assert [row[1] for row in rows].count("unchanged") == 1


def test_changed_sentence_is_checked_against_its_passage() -> None:
    found = list(check_changed("tuned", 1, FakeEmbedder(), FakeReranker()))
    assert Counter(each.group == "unchanged" for each in found) == {True: 5, False: 5}
    assert all(each.passed for each in found if each.group == "unchanged")


@pytest.mark.models
@pytest.mark.acceptance
@pytest.mark.timeout(1200)
def test_hardly_any_changed_sentence_passes() -> None:
    found = list(check_changed("tuned", CHANGES_PER_GROUP, embedder(), open_packaged_reranker()))
    changed = [each for each in found if each.group != "unchanged"]
    passed = [f"{each.text} was: {each.original}" for each in changed if each.passed]
    assert len(changed) == 5 * CHANGES_PER_GROUP
    assert len(passed) <= MAX_CHANGED * len(changed), "\n".join(passed)
    assert sum(each.passed for each in found if each.group == "unchanged") > 0.9 * len(changed)


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_written_sentences_pass_if_a_passage_states_them() -> None:
    """The bounds are what was reached on the sets to tune on, less a few sentences."""
    model, reranker = embedder(), open_packaged_reranker()
    passed = Counter(
        (written.supported, passes(written, model, reranker))
        for name in ("product", "operations")
        for written in load_tuning_sentences(name)
    )
    assert passed[True, True] >= 0.75 * (passed[True, True] + passed[True, False]), passed
    assert passed[False, True] <= 0.12 * (passed[False, True] + passed[False, False]), passed
