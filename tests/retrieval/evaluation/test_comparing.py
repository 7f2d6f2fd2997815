from typing import Any

from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.question_results import Asked
from retrieval.evaluation.run_comparison import Change, differences, ids_of, measure_changes


def asked(identity: str, right: bool, **fields: Any) -> Asked:
    return Asked(id=identity, kind=Kind.CODE, question="?", right=right, refused=False, answer="", **fields)


NOW = [asked("a", True), asked("b", False), asked("c", False), asked("d", True), asked("new", True)]
BEFORE = [asked("d", True), asked("c", False), asked("b", True), asked("a", False), asked("old", True)]


def test_what_has_become_worse_comes_first() -> None:
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
