"""Filters of a search: each narrows both halves, none lets in what may not be read."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.library.models import Document, KnowledgeBase
from retrieval.engine import Engine, use
from retrieval.index.protocol import Candidates
from retrieval.index.qdrant_edge import EdgeIndex
from tests.bases import make_base
from tests.web.api.conftest import Caller, indexed

QUERY = "days of leave a year"


@dataclass(frozen=True)
class Shelf:
    """Two documents that rob may read, and two with all that the first has, which he may not."""

    wanted: Document
    other: Document
    narrowed: Document
    elsewhere: Document


@pytest.fixture
def shelf(
    mia: Caller, rob: Caller, base: KnowledgeBase, parts: Engine, grant: Callable[[Caller, Role], None]
) -> Shelf:
    grant(rob, Role.READER)
    closed = make_base(name="Closed", principal=mia.principal)

    def put(kb: KnowledgeBase, name: str, tag: str, year: int, text: str) -> Document:
        made = mia.upload(
            str(kb.id),
            f"{name}.md",
            text.encode(),
            source_uri=f"{tag}.md",
            metadata=json.dumps({"tags": [tag]}),
        )
        document = Document.objects.with_versions().get(pk=made.json()["document"]["id"])
        document.created_at = datetime(year, 6, 1, tzinfo=UTC)
        document.save()
        indexed(document, parts, text)
        document.versions.update(created_at=datetime(year, 6, 1, tzinfo=UTC))
        return document

    wanted = put(base, "wanted", "hr", 2024, "Staff get 25 days of leave a year.")
    other = put(base, "other", "it", 2020, "Interns get 12 days of leave a year.")
    narrowed = put(base, "narrowed", "hr-board", 2024, "The board gets 40 days of leave a year.")
    readers_replace(document=narrowed, readers=[f"user:{mia.user.id}"], actor=None)
    elsewhere = put(closed, "elsewhere", "hr", 2024, "Owners get 50 days of leave a year.")
    return Shelf(wanted, other, narrowed, elsewhere)


def filters_for(shelf: Shelf) -> dict[str, dict[str, Any]]:
    """Return filters that match `wanted` and a document unreadable for rob, but not `other`."""
    fitting = [str(each.id) for each in (shelf.wanted, shelf.narrowed, shelf.elsewhere)]
    return {
        "source_uri": {"source_uri": "hr.md"},
        "tags": {"tags": ["hr", "hr-board"]},
        "created_after": {"created_after": "2024-01-01"},
        "created_before_and_after": {"created_after": "2024-06-01T00:00:00Z", "created_before": "2024-06-02"},
        "document_ids": {"document_ids": fitting},
        "updated_after": {"updated_after": "2024-01-01"},
        "updated_among": {
            "updated_after": "2020-01-01",
            "document_ids": fitting,
        },
        "all": {"source_uri": "hr.md", "tags": ["hr"], "created_after": "2024-01-01"},
    }


def found(caller: Caller, **filters: Any) -> set[str]:
    response = caller.post("/search", {"query": QUERY, "filters": filters})
    assert response.status_code == 200, response.content
    return {hit["document"] for hit in response.json()["results"]}


def found_by_each(caller: Caller, shelf: Shelf) -> list[set[str]]:
    return [found(caller, **filters) for filters in filters_for(shelf).values()]


def test_search_without_filters_finds_every_readable_document(rob: Caller, mia: Caller, shelf: Shelf) -> None:
    assert found(rob) == {str(shelf.wanted.id), str(shelf.other.id)}
    assert len(found(mia)) == 4


def test_filters_only_narrow_readable_documents(rob: Caller, shelf: Shelf) -> None:
    assert found_by_each(rob, shelf) == [{str(shelf.wanted.id)}] * len(filters_for(shelf))


def test_updated_after_filter_can_find_nothing(rob: Caller, shelf: Shelf) -> None:
    assert found(rob, updated_after="2025-01-01T00:00:00Z") == set()


def test_created_before(rob: Caller, shelf: Shelf) -> None:
    assert found(rob, created_before="2024-06-01T00:00:00Z") == {str(shelf.other.id)}
    assert found(rob, created_before="2024-06-01T00:00:00-01:00") == {
        str(shelf.other.id),
        str(shelf.wanted.id),
    }


class OneHalf:
    """The index, of which only one half finds anything."""

    def __init__(self, index: EdgeIndex, half: str) -> None:
        self._index, self._half = index, half

    def query(self, dense: Any, sparse: Any, **asked: Any) -> Candidates:
        found = self._index.query(dense, sparse, **asked)
        if self._half == "dense":
            return Candidates(dense=found.dense)
        words = {candidate.id for candidate in found.sparse}
        return Candidates([each for each in found.dense if each.id in words], found.sparse)


@pytest.mark.parametrize("half", ["dense", "sparse"])
def test_filters_apply_to_both_vector_and_keyword_search(
    rob: Caller, shelf: Shelf, parts: Engine, half: str
) -> None:
    assert isinstance(parts.index, EdgeIndex)
    with use(replace(parts, index=OneHalf(parts.index, half))):  # type: ignore[arg-type] # what search needs
        assert found_by_each(rob, shelf) == [{str(shelf.wanted.id)}] * len(filters_for(shelf))


@pytest.mark.django_db(transaction=True)
def test_question_filters_match_search_filters(rob: Caller, shelf: Shelf) -> None:
    question = "How many days of leave a year do they get?"
    for tag, document in (("it", shelf.other), ("hr", shelf.wanted)):
        answer = rob.post("/ask", {"question": question, "filters": {"tags": [tag]}}).json()
        told = [each["document"] for each in (*answer["citations"], *answer["nearest"])]
        assert set(told) == {str(document.id)}


@pytest.mark.parametrize(
    "filters",
    [
        {"colour": "red"},
        {"tags": []},
        {"tags": "hr"},
        {"created_after": "yesterday"},
        {"document_ids": []},
        {"source_uri": 5},
        {"tags": ["x"] * 51},
    ],
)
def test_invalid_filters_are_rejected(rob: Caller, filters: dict[str, Any]) -> None:
    response = rob.post("/search", {"query": QUERY, "filters": filters})
    assert (response.status_code, response.json()["code"]) == (422, "invalid")
