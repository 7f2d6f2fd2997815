"""Search, answers and document pages respect the access rules of a source."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from cairn.access.models import Role, SourceSubject
from cairn.access.source_access import EVERYONE, AccessEntry, SourceAccess, SourceGroup, SourcePerson
from cairn.access.source_services import link_source_person, replace_source_people, set_source_access
from cairn.accounts.provisioning import identity_set
from cairn.library.models import Document
from retrieval.engine import Engine
from tests.principals import SETUP
from tests.web.api.conftest import Caller, assert_problem, indexed

pytestmark = pytest.mark.django_db(transaction=True)
SOURCE = UUID(int=24)
QUESTION = "How many days of leave do employees get?"
LEVELS = ((AccessEntry(EVERYONE),), (AccessEntry("interns", allow=False), AccessEntry("staff")))


@pytest.fixture
def rob(rob: Caller, grant: Callable[[Caller, Role], None]) -> Caller:
    """A reader of the knowledge base, and a person of the source."""
    grant(rob, Role.READER)
    identity_set(rob.user, source="ldap", external_id="id-rob", actor=None)
    return rob


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    """A document in the index, which no test changes."""
    set_source_access(SOURCE, {document.pk: SourceAccess(LEVELS)})
    document.refresh_from_db()
    indexed(document, parts, "Employees get 25 days of leave a year.", "Bicycles stay outside.")
    return document


def read_people(staff: str = "team", interns: str = "") -> None:
    """Read the people of the source: the groups of staff and interns have one member each."""
    people = [
        SourcePerson("S-rob", "Rob", directory_id="id-rob"),
        SourceGroup("team", "Team", ("S-rob", "staff")),
        SourceGroup("staff", "Staff", (staff,)),
        SourceGroup("interns", "Interns", (interns,)),
    ]
    replace_source_people(SOURCE, people, directory="ldap", match_email=False)


def shows(caller: Caller, document: Document, client: Client) -> set[str]:
    """Return the ways by which the caller gets the document or its content."""
    found = caller.post("/search", {"query": "days of leave a year"}).json()["results"]
    answer: dict[str, Any] = caller.post("/ask", {"question": QUESTION}).json()
    listed = caller.get("/documents").json()["items"]
    client.force_login(caller.user)
    ways = {
        "search": bool(found),
        "ask": bool(answer["citations"]) or "25" in answer["answer"],
        "list": bool(listed),
        "get": caller.get(f"/documents/{document.id}").status_code == 200,
        "content": caller.get(f"/documents/{document.id}/content").status_code == 200,
        "page": client.get(f"/library/documents/{document.id}").status_code == 200,
    }
    return {way for way, shown in ways.items() if shown}


ALL = {"search", "ask", "list", "get", "content", "page"}


def test_source_group_membership_applies_immediately(
    mia: Caller, rob: Caller, leave: Document, client: Client
) -> None:
    assert shows(rob, leave, client) == set()
    assert shows(mia, leave, client) == ALL
    read_people()
    assert shows(rob, leave, client) == ALL
    read_people(interns="team")
    assert shows(rob, leave, client) == set()
    read_people()
    assert shows(rob, leave, client) == ALL
    link_source_person(SourceSubject.objects.get(external_id="S-rob"), None, SETUP)
    assert shows(rob, leave, client) == set()


def test_changed_source_access_revokes_immediately(rob: Caller, leave: Document, client: Client) -> None:
    read_people()
    set_source_access(SOURCE, {leave.pk: SourceAccess(((AccessEntry("board"),),))})
    assert shows(rob, leave, client) == set()


def test_readers_of_a_synced_document_cannot_be_edited(mia: Caller, leave: Document) -> None:
    path = f"/documents/{leave.id}"
    assert mia.get(path).json()["readers"] == ["source"]
    for readers in (None, [], [f"user:{mia.user.id}"]):
        problem = assert_problem(mia.patch(path, {"readers": readers}), 409, "conflict")
        assert problem["detail"] == "The source decides who can read this document."
        assert_problem(mia.post(f"{path}/readers/effect", {"readers": readers}), 409, "conflict")
    assert mia.patch(path, {"title": "Other"}).status_code == 200


def test_managers_see_access_from_the_source(mia: Caller, rob: Caller, leave: Document) -> None:
    read_people()
    people = mia.get(f"/documents/{leave.id}/people").json()["items"]
    passes = {person["username"]: person["narrowed"][0]["passes"] for person in people}
    assert passes == {"mia": ["manager"], "rob": ["Staff"]}
    read_people(staff="")
    found = mia.get(f"/documents/{leave.id}/people/{rob.user.id}").json()
    assert not found["may_read"]
    assert found["narrowed"] == [
        {
            "document": str(leave.id),
            "title": "leave.md",
            "passes": [],
            "synced": True,
            "refusal": "The source only lets Staff read it, and this person isn’t one of them.",
        }
    ]


def test_access_page_explains_that_the_source_decides(mia: Caller, leave: Document, client: Client) -> None:
    client.force_login(mia.user)
    page = client.get(f"/library/documents/{leave.id}/access").content.decode()
    assert "The source decides who can read this document." in page
    assert "Save readers" not in page
    unknown = SourceAccess(unknown="The server hides the permissions.")
    set_source_access(SOURCE, {leave.pk: unknown})
    page = client.get(f"/library/documents/{leave.id}/access").content.decode()
    assert "The server hides the permissions." in page
    reasons = client.get(f"/library/documents/{leave.id}/people", {"q": "mia"}).content.decode()
    assert "this person is included as manager" in reasons
