from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.accounts.models import User
from cairn.library.models import KnowledgeBase
from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.models import EvaluationRun
from retrieval.evaluation.question_results import Asked
from tests.bases import make_base
from tests.web.pages.conftest import text_of

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


def asked(identity: str, *, right: bool, **fields: Any) -> Asked:
    given: dict[str, Any] = {
        "question": f"What of {identity}?",
        "kind": Kind.TWO_PAGES,
        "answer": f"This of {identity}.",
        "refused": False,
        "relevant": ("leave.md",),
        "rank": 3,
    }
    return Asked(id=identity, right=right, **{**given, **fields})


def run(base: KnowledgeBase, name: str, *outcomes: Asked, **fields: Any) -> EvaluationRun:
    given: dict[str, Any] = {
        "gold_name": "handbook",
        "gold_sha256": "a" * 64,
        "measures": {"ndcg@10": 0.7125, "wrongly_refused": 0.25, "answer_p50_ms": 1234.4, "mrr": None},
        "settings": {"embedding_model": "small"},
    }
    return EvaluationRun.objects.create(
        knowledge_base=base,
        name=name,
        outcomes=[each.model_dump(mode="json") for each in outcomes],
        questions=len(outcomes),
        right=sum(each.right for each in outcomes),
        **{**given, **fields},
    )


@pytest.fixture
def mias(signed_in: SignIn, mia: User) -> Client:
    return signed_in(mia)


def test_evaluation_page_without_runs_shows_the_command(mias: Client, base: KnowledgeBase) -> None:
    text = text_of(mias.get("/admin/evaluation"))
    assert "No runs yet" in text
    assert f"manage.py evaluate --kb {base.slug}" in text


def test_evaluation_runs_are_listed_with_their_measures(mias: Client, base: KnowledgeBase, mia: User) -> None:
    other = make_base(name="Other", principal=principal_for_user(mia))
    run(base, "before", asked("a", right=True), asked("b", right=False))
    run(other, "elsewhere", asked("a", right=True))
    text = text_of(mias.get("/admin/evaluation"))
    assert text.index("elsewhere") < text.index("before")
    assert "50 %" in text
    assert "0.713" in text or "0.712" in text
    assert "elsewhere" not in text_of(mias.get(f"/admin/evaluation?kb={base.slug}"))


def test_evaluation_page_is_only_for_managers(
    signed_in: SignIn, rob: User, base: KnowledgeBase, grant: Callable[..., None]
) -> None:
    kept = run(base, "before", asked("a", right=True))
    robs = signed_in(rob)
    for role in (None, Role.READER, Role.EDITOR):
        if role:
            grant(rob, role)
        assert robs.get("/admin/evaluation").status_code == 403
        assert robs.get(f"/admin/evaluation/runs/{kept.id}").status_code == 404
    own = make_base(name="Own", principal=principal_for_user(rob))
    mine = run(own, "mine", asked("a", right=True))
    assert "before" not in text_of(robs.get("/admin/evaluation"))
    for one, other in ((mine, kept), (kept, mine)):
        path = f"/admin/evaluation/runs/{one.id}/compare?with={other.id}"
        assert robs.get(path).status_code == 404
    assert robs.get(f"/admin/evaluation/runs/{mine.id}").status_code == 200
    assert Client().get("/admin/evaluation").status_code == 302


def test_evaluation_run_lists_failed_questions_first(mias: Client, base: KnowledgeBase) -> None:
    refused = asked("lost", right=False, refused=True, rank=None)
    invented = asked("made-up", right=False, relevant=(), rank=None)
    kept = run(base, "before", asked("fine", right=True), refused, invented)
    text = text_of(mias.get(f"/admin/evaluation/runs/{kept.id}"))
    assert "1 of 3 questions correct" in text
    assert "1,234 ms" in text
    assert "Wrongly refused" in text
    assert "not found" in text
    assert "Answered without support" in text
    assert "two pages" in text
    assert "What of fine?" not in text
    assert "What of fine?" in text_of(mias.get(f"/admin/evaluation/runs/{kept.id}?show=all"))


def test_rankings_and_kinds_are_tables(mias: Client, base: KnowledgeBase) -> None:
    ways = {"bm25": {"mrr": 0.25, "ndcg@10": 0.5}, "hybrid": {"mrr": 0.625, "ndcg@10": 0.75}}
    kept = run(
        base, "b", asked("a", right=True), rankings=ways, by_kind={"near_miss": {"wrongly_refused": 0.125}}
    )
    text = text_of(mias.get(f"/admin/evaluation/runs/{kept.id}"))
    table = text[text.index("Hybrid (embeddings and keywords)") :]
    assert table.index("0.750") < table.index("0.625") < table.index("Keywords only (BM25)")
    assert text.index("Near miss") < text.index("0.125")


def test_evaluation_questions_are_paged(mias: Client, base: KnowledgeBase) -> None:
    kept = run(base, "long", *(asked(f"q{n}", right=True) for n in range(130)))
    path = f"/admin/evaluation/runs/{kept.id}"
    assert "What of q99?" in text_of(mias.get(path))
    assert "What of q100?" not in text_of(mias.get(path))
    second = text_of(mias.get(f"{path}?show=all&page=2"))
    assert "What of q100?" in second
    assert "101–130 of 130" in second
    for odd in ("x", "-1", "999999", "0"):
        assert mias.get(f"{path}?page={odd}").status_code == 200


def test_evaluation_runs_are_compared_by_question(mias: Client, base: KnowledgeBase) -> None:
    before = run(base, "before", asked("a", right=False), asked("b", right=True), asked("c", right=False))
    now = run(
        base,
        "after",
        asked("a", right=True),
        asked("b", right=False, refused=True),
        asked("c", right=False),
        measures={"ndcg@10": 0.8, "wrongly_refused": 0.5, "answer_p50_ms": 1000.0, "mrr": None},
        settings={"embedding_model": "large"},
    )
    text = text_of(mias.get(f"/admin/evaluation/runs/{now.id}/compare?with={before.id}"))
    places = [text.index(f"What of {each}?") for each in ("b", "a", "c")]
    assert places == sorted(places)
    assert text.index('id="worse-title"') < places[0] < text.index('id="better-title"') < places[1]
    assert "correct → wrongly refused" in text
    ndcg, refused, time = (
        text[text.index(f">{label}<") :].partition("</tr>")[0]
        for label in ("nDCG@10", "Wrongly refused", "Answer, median")
    )
    assert "+0.08" in ndcg
    assert 'change-better">' in ndcg
    assert 'change-worse">+0.250' in refused
    assert 'change-better">\u2212234 ms' in time
    assert "small" in text
    assert "large" in text
    assert "used different questions" not in text


def test_comparing_runs_of_different_questions_shows_a_warning(mias: Client, base: KnowledgeBase) -> None:
    one = run(base, "one", asked("a", right=True), gold_sha256="b" * 64)
    other = run(base, "other", asked("a", right=True), asked("b", right=True))
    text = text_of(mias.get(f"/admin/evaluation/runs/{one.id}/compare?with={other.id}"))
    assert "used different questions" in text
    assert "They share 1 question" in text
    for absent in ("", "nonsense", "00000000-0000-0000-0000-000000000001"):
        path = f"/admin/evaluation/runs/{one.id}/compare?with={absent}"
        assert mias.get(path).status_code == 404


def test_evaluation_text_is_escaped(mias: Client, base: KnowledgeBase) -> None:
    hostile = '<img src=x onerror="x">'
    outcome = asked("a", right=False, question=hostile, answer=hostile, cited=(hostile,), verdict=hostile)
    kept = run(base, hostile, outcome, settings={hostile: hostile}, measures={hostile: 1.0})
    for path in ("/admin/evaluation", f"/admin/evaluation/runs/{kept.id}"):
        assert "<img src=x" not in text_of(mias.get(path))
    compared = mias.get(f"/admin/evaluation/runs/{kept.id}/compare?with={kept.id}")
    assert "<img src=x" not in text_of(compared)
