import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cairn.access.models import Grant, Role
from cairn.access.services import readers_replace
from cairn.library.models import Document, KnowledgeBase
from retrieval.engine import Engine
from retrieval.models import Message
from tests.bases import make_base
from tests.fakes import FakeEmbedder
from tests.web.api.conftest import Caller, assert_problem, indexed

NONE = {"items": [], "next_cursor": None}
ABSENT = "00000000-0000-0000-0000-000000000001"
TEXTS = ("Employees get 25 days of leave a year.", "Bicycles are parked behind the house.")


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, *TEXTS)
    return document


def found(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    response = caller.post("/search", {"query": "days of leave a year", **query})
    assert response.status_code == 200, response.content
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def test_hits_are_ordered_by_score(mia: Caller, leave: Document) -> None:
    response = mia.post("/search", {"query": "days of leave a year"})
    assert response.json().keys() == {"results", "spelling", "took_ms"}
    best, other = response.json()["results"]
    assert best == {
        "chunk": best["chunk"], "document": str(leave.id), "title": "leave.md",
        "knowledge_base": str(leave.knowledge_base_id), "source_uri": "leave.md", "page": None,
        "knowledge_base_name": "Handbook", "official": True,
        "knowledge_base_owner": {"id": str(mia.user.id), "username": "mia"},
        "location": "", "section": ["Leave"], "text": TEXTS[0], "score": best["score"],
        "scores": best["scores"], "url": f"/library/documents/{leave.id}?chunk={best['chunk']}",
    }  # fmt: skip
    assert best["scores"].keys() == {"dense", "sparse", "fused", "rerank"}
    assert best["score"] > other["score"]


def test_top_k_limits_hits(mia: Caller, leave: Document) -> None:
    assert len(found(mia, top_k=1)) == 1


def test_search_can_use_a_single_ranking(mia: Caller, leave: Document) -> None:
    for ranking, score in (("dense", "dense"), ("bm25", "sparse"), ("hybrid", "fused"), ("rrf", "fused")):
        hits = found(mia, ranking=ranking)
        assert [hit["score"] for hit in hits] == [hit["scores"][score] for hit in hits]
        assert hits[0]["text"] == TEXTS[0]
        assert len(hits) == (1 if ranking == "bm25" else 2)  # the query has no word of the other
    assert found(mia) == found(mia, ranking="hybrid")
    assert_problem(mia.post("/search", {"query": "leave", "ranking": "luck"}), 422, "invalid")


@pytest.mark.parametrize("ranking", ["dense", "bm25", "rrf"])
def test_every_ranking_finds_only_readable_documents(
    mia: Caller, rob: Caller, leave: Document, grant: Callable[[Caller, Role], None], ranking: str
) -> None:
    assert found(rob, ranking=ranking) == []
    grant(rob, Role.READER)
    assert found(rob, ranking=ranking)
    readers_replace(document=leave, readers=[f"user:{mia.user.id}"], actor=None)
    assert found(rob, ranking=ranking) == []


def test_changed_access_applies_to_the_next_search(
    mia: Caller, rob: Caller, leave: Document, grant: Callable[[Caller, Role], None]
) -> None:
    assert found(rob) == []
    grant(rob, Role.READER)
    assert len(found(rob)) == 2
    readers_replace(document=leave, readers=[f"user:{mia.user.id}"], actor=None)
    assert found(rob) == []
    readers_replace(document=leave, readers=["everyone"], actor=None)
    assert len(found(rob)) == 2
    Grant.objects.filter(user=rob.user).delete()
    assert found(rob) == []


def test_deleted_document_disappears_from_the_next_search(mia: Caller, leave: Document) -> None:
    assert found(mia)
    mia.delete(f"/documents/{leave.id}")
    assert found(mia) == []


def test_knowledge_bases_narrow_and_never_widen(mia: Caller, rob: Caller, leave: Document) -> None:
    other = make_base(name="Other", principal=mia.principal)
    base = str(leave.knowledge_base_id)
    assert len(found(mia, knowledge_bases=[base])) == 2
    assert len(found(mia, knowledge_bases=[base, str(other.id)])) == 2
    assert found(mia, knowledge_bases=[str(other.id)]) == []


def test_search_accepts_slugs_and_ids(mia: Caller, leave: Document) -> None:
    base = leave.knowledge_base
    other = make_base(name="Other", principal=mia.principal)
    assert len(found(mia, knowledge_bases=[base.slug])) == 2
    assert len(found(mia, knowledge_bases=[base.slug, str(base.id), other.slug])) == 2
    assert found(mia, knowledge_bases=[other.slug]) == []
    for path in ("/knowledge-bases/{}", "/knowledge-bases/{}/documents", "/jobs?knowledge_base={}",
                 "/documents?knowledge_base={}", "/evaluations?knowledge_base={}", "/gaps?knowledge_base={}",
                 "/uploads?knowledge_base={}"):  # fmt: skip
        by_slug, by_id = mia.get(path.format(base.slug)), mia.get(path.format(base.id))
        assert (by_slug.status_code, by_slug.json()) == (200, by_id.json())
        assert by_slug.json() != mia.get(path.format(other.slug)).json() or by_id.json() == NONE
    assert mia.get("/jobs?knowledge_base=" + base.slug).json()["items"]
    assert mia.upload(base.slug, "new.md", b"# New").json()["document"]["knowledge_base"] == str(base.id)


@pytest.mark.parametrize("path", ["/search", "/ask"])
def test_unreadable_and_missing_knowledge_bases_are_equally_not_found(
    mia: Caller, rob: Caller, leave: Document, path: str
) -> None:
    """Hidden, absent, deleted or malformed, by id or slug, alone or beside one that is mine: all alike."""
    mine = make_base(name="Rob's", principal=rob.principal)
    hidden, deleted = leave.knowledge_base, make_base(name="Gone", principal=rob.principal)
    assert rob.delete(f"/knowledge-bases/{deleted.id}").status_code == 202
    word = "query" if path == "/search" else "question"
    names = [str(hidden.id), hidden.slug, str(deleted.id), deleted.slug, ABSENT, "nonsense"]
    before = Message.objects.count()
    told = set()
    rob.post(path, {word: "days", "knowledge_bases": [ABSENT]})  # creates what is counted per day
    for name in names:
        for bases in ([name], [str(mine.id), name]):
            with CaptureQueriesContext(connection) as queries:
                response = rob.post(path, {word: "days of leave", "knowledge_bases": bases})
            assert_problem(response, 404, "not_found")
            told.add((response.content, len(queries)))
    assert len(told) == 1, told
    for malformed in ("no such", "", "\u00fc", "a/b"):
        assert rob.post(path, {word: "days", "knowledge_bases": [malformed]}).content in {e for e, _ in told}
    assert Message.objects.count() == before


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 2), ({"source_uri": "leave.md"}, 2), ({"source_uri": "other.md"}, 0),
        ({"tags": ["hr", "x"]}, 2), ({"tags": ["x"]}, 0), ({"document_ids": [ABSENT]}, 0),
        ({"document_ids": ["nonsense"]}, 0), ({"created_after": "2001-01-01"}, 2),
        ({"created_before": "2001-01-01T00:00:00Z"}, 0), ({"created_after": "2001-01-01T00:00:00"}, 2),
        ({"created_after": "0001-01-01T00:00:00+14:00"}, 2), ({"created_after": "9999-12-31T23:59:59Z"}, 0),
        ({"source_uri": None, "tags": None}, 2),
    ],
)  # fmt: skip
def test_filters_narrow(
    mia: Caller, base: KnowledgeBase, parts: Engine, filters: dict[str, Any], count: int
) -> None:
    upload = mia.upload(str(base.id), "leave.md", b"text", metadata=json.dumps({"tags": ["hr"]}))
    document = Document.objects.with_versions().get(pk=upload.json()["document"]["id"])
    indexed(document, parts, *TEXTS)
    assert len(found(mia, filters=filters)) == count


def test_search_can_be_limited_to_one_document(mia: Caller, leave: Document) -> None:
    assert len(found(mia, filters={"document_ids": [str(leave.id), "nonsense"]})) == 2
    after = (leave.created_at + timedelta(hours=1)).isoformat()
    assert found(mia, filters={"created_after": after}) == []


def test_unavailable_search_backend_returns_503_with_retry_after(
    mia: Caller, leave: Document, parts: Engine
) -> None:
    assert isinstance(parts.embedder, FakeEmbedder)
    parts.embedder.broken = True
    response = mia.post("/search", {"query": "leave"})
    assert_problem(response, 503, "unavailable")
    assert int(response["Retry-After"]) > 0


def test_hostile_queries_are_plain_text(mia: Caller, leave: Document) -> None:
    for query in ["'; DROP TABLE chunk; --", "*", "\u202e%_\\", "🦀" * 500, "?" * 2000, "\x01\x7f"]:
        assert mia.post("/search", {"query": query}).status_code == 200
