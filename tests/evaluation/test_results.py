"""Measures of the evaluation, their intervals, and the pictures and tables made of them."""

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from rich.console import Console

from cairn.access.scope import Principal, Scope
from retrieval.engine import Engine
from retrieval.evaluation.gold_file import GoldQuestion, Kind
from retrieval.types import Hit
from tests.evaluation import asking
from tests.evaluation.__main__ import draw_questions, index_identity
from tests.evaluation.curve import refusal_curve, write_curves
from tests.evaluation.intervals import bootstrap, estimate_auc, estimate_share
from tests.evaluation.results import Result, measure
from tests.evaluation.table import TOTAL, build_report, build_table, group_results, read_report
from tests.fakes import FakeChat
from tests.retrieval.answering.builders import LEAVE, make_hit


def make_result(
    *, refused: bool = False, rank: int | None = 1, cited: Sequence[str] = ("a.md",), probability: float = 0.9
) -> Result:
    return Result(
        id="1", kind=Kind.PARAPHRASE, answerable=True, refused=refused, rank=rank, relevant=("a.md",),
        cited=tuple(cited), contains=not refused, seconds=2, probability=probability,
    )  # fmt: skip


def make_unanswerable(kind: Kind, *, refused: bool, probability: float = 0.1) -> Result:
    return Result(id="2", kind=kind, answerable=False, refused=refused, rank=None, probability=probability)


RESULTS = [
    make_result(),
    make_result(rank=4, cited=["b.md", "a.md"]),
    make_result(rank=None, refused=True, cited=[], probability=0.2),
    make_unanswerable(Kind.NEAR_MISS, refused=False, probability=0.5),
    make_unanswerable(Kind.UNANSWERABLE, refused=True),
]


def test_measures_of_five_questions() -> None:
    values = {name: estimate and estimate.value for name, estimate in measure(RESULTS).items()}
    assert values == {
        "hit@1": pytest.approx(1 / 3),
        "hit@5": pytest.approx(2 / 3),
        "MRR": pytest.approx((1 + 1 / 4) / 3),
        "first citation": 0.5,
        "any citation": 1.0,
        "fact": pytest.approx(2 / 3),
        "refusal precision": 0.5,
        "refusal recall": 0.5,
        "refusal F1": 0.5,
        "wrongly refused": pytest.approx(1 / 3),
        "near misses answered": 1.0,
        "absent answered": 0.0,
        "first word s": None,
        "whole s": 2.0,
    }


def test_wilson_interval_matches_a_published_one() -> None:
    estimate = estimate_share([True] * 81 + [False] * 182)  # Newcombe 1998, table I
    assert estimate is not None
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (0.2553, 0.3662)
    assert estimate_share([]) is None


def test_bootstrap_is_reproducible_and_covers_the_mean() -> None:
    values = np.arange(100.0)
    estimate = bootstrap(values, np.mean)
    assert estimate == bootstrap(values, np.mean)
    assert estimate is not None
    assert 42 < estimate.low < 49.5 < estimate.high < 57
    assert bootstrap(np.array([]), np.mean) is None


def test_auc_distinguishes_longer_from_equal() -> None:
    assert estimate_auc([3, 4], [1, 2]).value == 1
    assert estimate_auc([1, 2], [1, 2]).value == 0.5


def test_refusal_threshold_trades_refusals_for_answers() -> None:
    curve = refusal_curve(RESULTS)
    assert curve[0] == (0, 100)
    assert (pytest.approx(100 / 3), 50) in curve
    assert curve[-1] == (100, 0)


def test_results_survive_a_report_and_are_shown(tmp_path: Path) -> None:
    results = {"company": RESULTS, "german": RESULTS, "product": RESULTS}
    assert len(group_results(results)[TOTAL]) == 2 * len(RESULTS)
    assert read_report(build_report(results)) == results
    write_curves(tmp_path / "curve.svg", results)
    assert (tmp_path / "curve.svg").read_text(encoding="utf-8").count("<polyline") == 4
    with (tmp_path / "table").open("w", encoding="utf-8") as file:
        Console(width=210, file=file).print(build_table(results))
    shown = (tmp_path / "table").read_text(encoding="utf-8")
    assert TOTAL in shown
    assert "0.06–0.79" in shown


def test_sample_depends_only_on_the_seed() -> None:
    first, again, other = (draw_questions("german", 10, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(draw_questions("german", None, 1)) == 80
    assert len(index_identity()) == 12


@pytest.mark.django_db
@pytest.mark.parametrize(("hits", "refused"), [([make_hit(LEAVE)], False), ([], True)])
def test_judging_stops_before_the_model_writes(
    hits: list[Hit], *, refused: bool, engine_override: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "search", lambda *_args, **_options: hits)
    question = GoldQuestion(
        id="1", question="And can it be carried over?", history=("How many days of annual leave?",)
    )
    scope = Scope(Principal(uuid4(), "anna", is_admin=False))
    outcome = asking.judge_question(question, scope, engine_override)
    assert outcome.standalone != question.question
    assert (outcome.refused, outcome.ranking) == (refused, tuple(hit.source_uri for hit in hits))
    assert bool(outcome.signals) is not refused
    assert isinstance(engine_override.chat, FakeChat)
    assert not engine_override.chat.prompts
