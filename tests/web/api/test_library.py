"""Search for documents that one may read, and their owners and review dates."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.audit.models import Event
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from tests.bases import make_base
from tests.web.api.conftest import Caller, assert_problem

GRANT = Callable[[Caller, Role], None]


def made(base: KnowledgeBase, title: str, *, media_type: str = "application/pdf", **fields: Any) -> Document:
    """Ready. `came`: when its version did."""
    came = fields.pop("came", timezone.now())
    document = Document.objects.create(knowledge_base=base, source_key=title, title=title, **fields)
    version = DocumentVersion.objects.create(
        document=document, number=1, filename=f"{title}.x", size=1, sha256="0", media_type=media_type,
        state="ready", created_at=came,
    )  # fmt: skip
    document.active_version = document.latest_version = version
    document.save()
    return document


def titles(caller: Caller, query: str = "") -> list[str]:
    response = caller.get(f"/documents{query}")
    assert response.status_code == 200, response.content
    return [item["title"] for item in response.json()["items"]]


@pytest.fixture
def shelf(mia: Caller, base: KnowledgeBase) -> KnowledgeBase:
    """Six documents of mia in two knowledge bases."""
    other = make_base(name="Travel", principal=mia.principal)
    ago, today = timezone.now() - timedelta(days=100), timezone.localdate()
    made(base, "Leave", owner=mia.user, review_by=today - timedelta(days=1))
    made(base, "Leave rules", review_by=today + timedelta(days=10), came=ago)
    made(base, "Sick leave", review_by=today + timedelta(days=100))
    made(base, "Pay", media_type="text/csv", source_uri="drive/leave/pay.csv")
    rail = made(other, "Rail", media_type="message/rfc822")
    rail.tags.create(name="Leave-taking")
    made(other, "Überstunden", media_type="text/markdown")
    return other


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=leave", ["Leave", "Leave rules", "Sick leave", "Rail", "Pay"]),
        ("?q=LEAVE+rules", ["Leave rules"]),
        ("?q=%C3%BCberstunden", ["Überstunden"]),
        ("?q=pay.x", ["Pay"]),
        ("?q=nothing", []),
        ("?q=%25", []),
        ("?q=leave&type=sheet", ["Pay"]),
        ("?type=mail", ["Rail"]),
        ("?type=text", ["Überstunden"]),
        ("?owner=me", ["Leave"]),
        ("?owner=nobody", []),
        ("?review=overdue", ["Leave"]),
        ("?review=due&sort=title", ["Leave", "Leave rules"]),
        ("?review=unset&sort=title", ["Pay", "Rail", "Überstunden"]),
        ("?tag=Leave-taking", ["Rail"]),
        ("?knowledge_base=nothing", []),
        ("?sort=title", ["Leave", "Leave rules", "Pay", "Rail", "Sick leave", "Überstunden"]),
    ],
)
def test_library_search_matches_document_fields(
    mia: Caller, shelf: KnowledgeBase, query: str, found: list[str]
) -> None:
    assert titles(mia, query) == found


def test_library_filters_by_knowledge_base_and_date(
    mia: Caller, base: KnowledgeBase, shelf: KnowledgeBase
) -> None:
    assert titles(mia, f"?knowledge_base={shelf.id}&sort=title") == ["Rail", "Überstunden"]
    since = (timezone.now() - timedelta(days=30)).date()
    assert "Leave rules" not in titles(mia, f"?updated_after={since}")
    assert titles(mia)[-1] == "Leave rules"


@pytest.mark.parametrize("query", ["?q=leave", "", "?sort=title", "?sort=updated"])
def test_library_pages_cover_every_document_once(mia: Caller, shelf: KnowledgeBase, query: str) -> None:
    whole = titles(mia, query)
    paged, cursor = [], ""
    sign = "&" if query else "?"
    while cursor is not None:
        page = mia.get(f"/documents{query}{sign}limit=2&cursor={cursor}").json()
        paged += [item["title"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert paged == whole


@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "WzEsMl0", "WyJcdTAwMDAiLDFd", "W251bGwsbnVsbCxudWxsXQ"])
@pytest.mark.parametrize("sort", ["relevance", "updated", "title"])
def test_invalid_library_cursor_is_rejected(
    mia: Caller, shelf: KnowledgeBase, cursor: str, sort: str
) -> None:
    assert_problem(mia.get(f"/documents?sort={sort}&cursor={cursor}"), 422, "invalid")


def test_hidden_documents_do_not_affect_the_library(
    mia: Caller, rob: Caller, base: KnowledgeBase, shelf: KnowledgeBase, grant: GRANT
) -> None:
    assert titles(rob) == []
    grant(rob, Role.READER)
    before = rob.get("/documents?q=leave&limit=2").json()
    hidden = made(base, "Leave of the board", owner=rob.user)
    readers_replace(document=hidden, readers=[], actor=None)
    assert rob.get("/documents?q=leave&limit=2").json() == before
    assert "Leave of the board" in titles(mia, "?q=leave")
    assert titles(rob, f"?knowledge_base={shelf.id}") == []


def test_library_has_a_constant_number_of_queries(mia: Caller, base: KnowledgeBase) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            titles(mia, "?limit=200")
        return len(queries)

    made(base, "one")
    count()  # notes that the key was used
    few = count()
    for number in range(20):
        made(base, f"more {number}")
    assert count() == few


def test_review_sets_the_next_review_date(mia: Caller, document: Document) -> None:
    before = Document.objects.get().updated_at
    reviewed = mia.post(f"/documents/{document.id}/review", {"days": 30}).json()
    assert reviewed["review_by"] == str(timezone.localdate() + timedelta(days=30))
    assert reviewed["review_days"] == 30
    assert reviewed["reviewed_at"]
    assert Document.objects.get().updated_at == before  # the index need not hear of it
    mia.patch(f"/documents/{document.id}", {"review_days": 10})
    again = mia.post(f"/documents/{document.id}/review", {}).json()
    assert date.fromisoformat(again["review_by"]) == timezone.localdate() + timedelta(days=10)
    assert Event.objects.filter(action="document.reviewed").count() == 2


@pytest.mark.parametrize("days", [0, -1, 10**6, "x", 1.5])
def test_invalid_review_intervals_are_rejected(mia: Caller, document: Document, days: Any) -> None:
    assert mia.post(f"/documents/{document.id}/review", {"days": days}).status_code == 422


def test_document_owner_must_be_able_to_read_it(
    mia: Caller, rob: Caller, document: Document, grant: GRANT
) -> None:
    path = f"/documents/{document.id}"
    assert mia.get(f"{path}/owners?q=rob").json() == []
    assert_problem(mia.patch(path, {"owner": str(rob.user.id)}), 422, "invalid")
    grant(rob, Role.READER)
    assert mia.get(f"{path}/owners?q=ro").json() == [{"id": str(rob.user.id), "username": "rob"}]
    assert mia.patch(path, {"owner": str(rob.user.id)}).json()["owner"] == str(rob.user.id)
    readers_replace(document=document, readers=[], actor=None)
    document.refresh_from_db()
    assert mia.get(f"{path}/owners?q=rob").json() == []
    assert_problem(mia.patch(path, {"owner": str(rob.user.id)}), 422, "invalid")


def test_readers_cannot_review_or_choose_owners(rob: Caller, document: Document, grant: GRANT) -> None:
    grant(rob, Role.READER)
    for response in (
        rob.post(f"/documents/{document.id}/review", {}),
        rob.get(f"/documents/{document.id}/owners"),
        rob.patch(f"/documents/{document.id}", {"review_by": None}),
    ):
        assert_problem(response, 403, "forbidden")
