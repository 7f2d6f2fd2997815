"""Generations of the index, over REST: building, comparing, swapping, going back, cancelling."""

from typing import Any

import pytest

from cairn.errors import CairnError
from ingestion.reindexing import runner
from retrieval.engine import get_engine
from retrieval.models import GenerationState, IndexGeneration
from tests.web.api.conftest import Caller
from tests.web.api.reindexing.install import OTHER, THIRD, Generations

pytestmark = pytest.mark.django_db


def gold(install: Generations, *pairs: tuple[str, str]) -> dict[str, Any]:
    questions = [
        {"id": str(number), "question": question, "relevant": [uri]}
        for number, (question, uri) in enumerate(pairs)
    ]
    return {"knowledge_base": str(install.base.id), "questions": questions}


def test_reindex_swap_and_rollback_change_the_embedding_model(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    built = install.reindex()
    assert (built.state, built.embedding_model, built.dimension) == (GenerationState.READY, "other-1", 64)
    assert install.found("otters") == ["otters.txt"]
    assert (install.present.queries[-1:], install.other.queries) == (["otters"], [])

    install.swap()
    assert install.states() == ["retired", "active"]
    install.other.queries.clear()
    assert install.found("who holds hands") == ["otters.txt"]
    assert install.other.queries == ["who holds hands"]
    assert "who holds hands" not in install.present.queries

    install.rollback()
    assert install.states() == ["active", "retired"]
    assert install.found("hands") == ["otters.txt"]
    assert install.present.queries[-1] == "hands"
    assert get_engine().embedder is install.present


def test_index_status_lists_generations(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    install.reindex()
    shown = install.admin.get("/index").json()
    first, second = shown["generations"]
    assert (shown["active"], shown["note"]) == (first["id"], "")
    assert (first["done"], first["total"]) == (second["done"], second["total"]) == (1, 1)
    assert (second["embedding_model"], second["model_id"], second["optimised"]) == (OTHER, "other-1", True)
    assert (second["working"], second["paused"], second["error"]) == (False, False, "")


def test_index_status_warns_that_the_setting_differs_after_a_swap(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    install.reindex()
    install.swap()
    note = install.admin.get("/index").json()["note"]
    assert f"embedded with {OTHER}, which is used; all-MiniLM-L6-v2 is configured" in note


def test_reindexing_with_the_same_model_copies_vectors(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    install.present.texts.clear()
    assert install.reindex(model=None).state == GenerationState.READY
    assert install.present.texts == []
    install.swap()
    assert install.found("otters") == ["otters.txt"]
    install.assert_index_is_what_sql_says()


def test_generations_before_the_previous_one_are_removed(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    for model in (OTHER, None, None):
        install.reindex(model)
        install.swap()
    assert install.states() == ["retired", "active"]
    kept = set(IndexGeneration.objects.values_list("name", flat=True))
    assert {path.name for path in (install.data_dir / "index").iterdir()} == kept


def test_build_is_cancelled_while_running(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")

    def cancel() -> None:
        row = IndexGeneration.objects.get(state=GenerationState.BUILDING)
        assert install.admin.delete(f"/index/generations/{row.id}").status_code == 202

    install.other.before = cancel
    install.admin.post("/index/generations", {"embedding_model": OTHER})
    runner.work_all()
    assert install.states() == ["active"]
    assert len(list((install.data_dir / "index").iterdir())) == 1
    assert install.found("otters") == ["otters.txt"]
    assert install.reindex().state == GenerationState.READY


def test_rollback_does_not_wait_for_a_build(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    install.reindex()
    install.swap()
    seen = list[str]()

    def go_back() -> None:
        assert install.admin.post("/index/rollback", {}).status_code == 202
        install.third.before = lambda: seen.extend(install.states())

    install.third.before = go_back
    install.reindex(THIRD)
    assert seen == ["active", "retired", "building"], "once it went on to build"
    assert install.states() == ["active", "retired", "ready"]


def test_failed_build_reports_its_error_and_can_be_retried(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")

    def fail() -> None:
        raise CairnError("The model is bad.")

    install.other.before = fail
    built = install.reindex()
    assert (built.state, built.error) == (GenerationState.BUILDING, "The model is bad.")
    assert install.admin.post("/index/swap", {}).status_code == 409
    assert install.reindex().state == GenerationState.READY


def test_generation_with_worse_recall_is_swapped_in_only_by_force(install: Generations) -> None:
    for name in ("otter", "badger"):
        install.add(f"{name}.txt", f"The {name} sleeps by day.")
    asked = gold(install, ("otter", "otter.txt"), ("badger", "badger.txt"))
    assert install.admin.post("/index/compare", asked).status_code == 409
    install.reindex()
    same = install.admin.post("/index/compare", asked).json()
    assert (same["questions"], same["worse"]) == (2, [])
    assert same["before"] == same["after"] == {"recall@5": 1.0, "recall@20": 1.0, "ndcg@10": 1.0}

    lost = IndexGeneration.objects.get(state=GenerationState.READY)
    index = install.index_of(GenerationState.READY)
    for document in install.base.documents.filter(source_uri="badger.txt"):
        index.delete_document(document.id)
    worse = install.admin.post("/index/compare", asked).json()
    assert worse["worse"] == ["recall@5", "recall@20", "ndcg@10"]
    assert (worse["before"]["recall@5"], worse["after"]["recall@5"]) == (1.0, 0.5)
    refused = install.admin.post("/index/swap", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "worse")
    install.swap(force=True)
    lost.refresh_from_db()
    assert lost.state == GenerationState.ACTIVE


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/index/generations", {"embedding_model": "no-such-model"}, 422),
        ("/index/generations", {"embedding_model": ""}, 422),
        ("/index/generations", {"model": OTHER}, 422),
        ("/index/swap", {}, 409),
        ("/index/swap", {"force": "yes"}, 422),
        ("/index/rollback", {}, 409),
        ("/index/rollback", {"force": True}, 422),
        ("/index/compare", {"knowledge_base": "x", "questions": []}, 422),
        ("/index/compare", {"knowledge_base": "x", "questions": [{"id": "1", "question": "?"}]}, 404),
        ("/index/compare", {"knowledge_base": "x", "questions": [{"id": "1", "query": "?"}]}, 422),
    ],
)
def test_invalid_reindex_requests_are_rejected(
    install: Generations, path: str, body: dict[str, Any], status: int
) -> None:
    install.add("otters.txt", "Otters hold hands.")
    answer = install.admin.post(path, body)
    assert answer.status_code == status, answer.content
    assert install.states() == ["active"]


def test_only_one_build_runs_at_a_time(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    first = install.reindex()
    assert install.reindex() == install.reindex(model=None) == first
    other = install.admin.post("/index/generations", {"embedding_model": OTHER + "-2"})
    assert other.status_code == 422
    IndexGeneration.objects.filter(pk=first.pk).update(encoder="yet-another")
    assert install.admin.post("/index/generations", {"embedding_model": OTHER}).status_code == 409


def test_active_generation_cannot_be_removed(install: Generations) -> None:
    install.add("otters.txt", "Otters hold hands.")
    active = IndexGeneration.objects.get()
    assert install.admin.delete(f"/index/generations/{active.id}").status_code == 409
    assert install.admin.delete("/index/generations/nothing").status_code == 404
    assert install.found("otters") == ["otters.txt"]


@pytest.mark.parametrize("path", ["/index/generations", "/index/swap", "/index/rollback", "/index/compare"])
def test_index_routes_are_for_admins_only(install: Generations, mia: Caller, path: str) -> None:
    assert mia.get("/index").status_code == mia.post(path, {}).status_code == 403
    assert mia.delete("/index/generations/x").status_code == 403
