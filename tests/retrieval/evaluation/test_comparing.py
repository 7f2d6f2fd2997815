from typing import Any

import pytest

from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.question_results import Asked
from retrieval.evaluation.run_comparison import Change, Difference, differences, ids_of, measure_changes
from retrieval.evaluation.significance import compare_pairs


def asked(identity: str, right: bool, **fields: Any) -> Asked:
    return Asked(id=identity, kind=Kind.CODE, question="?", right=right, refused=False, answer="", **fields)


NOW = [asked("a", True), asked("b", False), asked("c", False), asked("d", True), asked("new", True)]
BEFORE = [asked("d", True), asked("c", False), asked("b", True), asked("a", False), asked("old", True)]


def test_worse_answers_come_first() -> None:
    found = differences(NOW, BEFORE)
    assert [(each.change, each.now.id) for each in found] == [
        (Change.WORSE, "b"),
        (Change.BETTER, "a"),
        (Change.BOTH_WRONG, "c"),
        (Change.BOTH_RIGHT, "d"),
    ]
    assert all(each.now.id == each.before.id for each in found)
    assert ids_of(found, Change.WORSE) == ["b"]


def test_lower_is_better_for_some_measures() -> None:
    now = {"mrr": 0.8, "recall@5": 0.5, "answer_p50_ms": 90.0, "wrongly_refused": 0.2, "must_contain": None}
    before = {"mrr": 0.7, "recall@5": 0.5, "answer_p50_ms": 100.0, "wrongly_refused": 0.1}
    found = {each.name: each.better for each in measure_changes(now, before)}
    assert found == {
        "mrr": True,
        "recall@5": None,
        "answer_p50_ms": True,
        "wrongly_refused": False,
        "must_contain": None,
    }
    assert [each.by for each in measure_changes(now, before)][-1] is None


def runs(better: int, worse: int, same: int) -> list[Difference]:
    pairs = [(True, False)] * better + [(False, True)] * worse + [(True, True)] * same
    now = [asked(str(at), right) for at, (right, _) in enumerate(pairs)]
    before = [asked(str(at), right) for at, (_, right) in enumerate(pairs)]
    return differences(now, before)


@pytest.mark.parametrize(
    ("better", "worse", "same", "difference", "is_worse", "is_significant"),
    [
        (0, 0, 20, 0.0, False, False),
        (3, 0, 20, 3 / 23, False, False),
        (2, 14, 84, -0.12, True, True),
        (14, 2, 84, 0.12, False, True),
        (7, 7, 10, 0.0, False, False),
        (0, 5, 0, -1.0, False, False),
        (0, 6, 0, -1.0, True, True),
    ],
)
def test_run_is_worse_only_if_the_difference_is_significant(
    better: int, worse: int, same: int, difference: float, is_worse: bool, is_significant: bool
) -> None:
    test = compare_pairs(runs(better, worse, same))
    assert test is not None
    assert test.difference == pytest.approx(difference)
    assert test.low <= test.difference <= test.high
    assert (test.is_worse, test.is_significant) == (is_worse, is_significant)
    assert is_significant == (test.low > 0 or test.high < 0), "the interval and the test agree"


def test_runs_without_common_questions_are_not_compared() -> None:
    assert compare_pairs([]) is None
