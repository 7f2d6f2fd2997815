"""Managers see who can read a document, why, and what a change would do."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.access.audience import document_access_of, people_in, people_reading
from cairn.access.models import DocumentReader, Grant, Role
from cairn.access.permissions import documents_for, knowledge_bases_for, role_in
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give, grants_replace, readers_replace
from cairn.accounts.models import Group, User
from cairn.accounts.services import group_create, user_create
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from tests.principals import SETUP
from tests.web.api.conftest import Caller, assert_problem, caller_for

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def staff(rob: Caller) -> Group:
    return group_create(name="Staff", members=[rob.user.id])


def names(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    return {item["username"]: item for item in response.json()["items"]}


def test_manager_sees_readers_and_the_grants_they_read_through(
    mia: Caller, rob: Caller, admin: Caller, base: KnowledgeBase, staff: Group
) -> None:
    grant_give(knowledge_base=base, subject=f"group:{staff.id}", role=Role.EDITOR, principal=SETUP)
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    people = names(mia.get(f"/knowledge-bases/{base.id}/people"))
    assert people.keys() == {"ada", "mia", "rob"}
    assert people["rob"]["role"] == "editor"
    assert people["rob"]["via"] == [
        {"subject": f"group:{staff.id}", "name": "Staff", "role": "editor"},
        {"subject": "everyone", "name": "Everyone who can sign in", "role": "reader"},
    ]
    assert {"subject": "admin", "name": "Administrator", "role": "manager"} in people["ada"]["via"]


def test_missing_access_is_explained(
    mia: Caller, rob: Caller, base: KnowledgeBase, document: Document
) -> None:
    outside = mia.get(f"/knowledge-bases/{base.id}/people/{rob.user.id}").json()
    assert (outside["may_read"], outside["role"], outside["via"]) == (False, None, [])
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    hr = group_create(name="HR")
    readers_replace(document=document, readers=[f"group:{hr.id}"], actor=None)
    shut_out = mia.get(f"/documents/{document.id}/people/{rob.user.id}").json()
    assert shut_out["role"] == "reader"
    assert not shut_out["may_read"]
    restriction = {"document": str(document.id), "title": document.title, "passes": []}
    assert shut_out["narrowed"] == [{**restriction, "synced": False, "refusal": ""}]
    hr.members.add(rob.user)
    inside = mia.get(f"/documents/{document.id}/people/{rob.user.id}").json()
    assert inside["may_read"]
    assert inside["narrowed"][0]["passes"] == ["HR"]
    manages = names(mia.get(f"/documents/{document.id}/people"))["mia"]
    assert manages["narrowed"][0]["passes"] == ["manager"]


def test_preview_of_a_grant_change_changes_nothing(
    mia: Caller, rob: Caller, base: KnowledgeBase, staff: Group
) -> None:
    kim = caller_for("kim")
    grants_replace(
        knowledge_base=base,
        grants=[(f"user:{mia.user.id}", Role.MANAGER), (f"group:{staff.id}", Role.READER)],
        principal=SETUP,
    )
    before, recorded = list(Grant.objects.values()), Event.objects.count()
    wanted = [
        {"subject": f"user:{mia.user.id}", "role": "reader"},
        {"subject": f"user:{kim.user.id}", "role": "editor"},
    ]
    effect = mia.post(f"/knowledge-bases/{base.id}/grants/effect", wanted).json()
    assert effect["losses"] == {
        "count": 1,
        "people": [
            {"id": str(rob.user.id), "username": "rob", "label": "rob", "before": "reader", "after": None}
        ],
    }
    assert [change["username"] for change in effect["gains"]["people"]] == ["kim"]
    assert effect["changes"]["people"][0]["after"] == "reader"
    assert list(Grant.objects.values()) == before
    assert Event.objects.count() == recorded


def test_preview_of_a_restriction_changes_nothing(
    mia: Caller, rob: Caller, base: KnowledgeBase, document: Document
) -> None:
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    kim = caller_for("kim")
    effect = mia.post(f"/documents/{document.id}/readers/effect", {"readers": [f"user:{kim.user.id}"]}).json()
    assert [change["username"] for change in effect["losses"]["people"]] == ["rob"]
    assert effect["gains"]["count"] == 0
    document.refresh_from_db()
    assert not document.narrowed
    assert not DocumentReader.objects.exists()


def test_only_managers_see_who_has_access(
    rob: Caller, mia: Caller, base: KnowledgeBase, document: Document, grant: Any
) -> None:
    paths = [f"/knowledge-bases/{base.id}/people", f"/documents/{document.id}/people"]
    paths += [f"{path}/{mia.user.id}" for path in paths]
    for path in paths:
        assert_problem(rob.get(path), 404, "not_found")
    grant(rob, Role.EDITOR)
    for path in paths:
        assert_problem(rob.get(path), 403, "forbidden")
    assert_problem(mia.get(f"{paths[0]}/{base.id}"), 404, "not_found")
    assert_problem(
        mia.post(f"/knowledge-bases/{base.id}/grants/effect", [{"subject": "user:x", "role": "reader"}]),
        422,
        "invalid",
    )


SUBJECTS = st.sampled_from(["user:0", "user:1", "user:2", "group:0", "group:1", "everyone"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    grants=st.dictionaries(SUBJECTS, st.sampled_from(list(Role)), max_size=4),
    readers=st.none() | st.sets(SUBJECTS.filter(lambda subject: subject != "everyone"), max_size=3),
    around=st.none() | st.sets(SUBJECTS.filter(lambda subject: subject != "everyone"), max_size=3),
    members=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=5),
    admin=st.sampled_from([None, 3]),
)
def test_both_sides_of_the_rules_agree(
    base: KnowledgeBase,
    grants: dict[str, Role],
    readers: set[str] | None,
    around: set[str] | None,
    members: list[tuple[int, int]],
    admin: int | None,
) -> None:
    """For whoever, and whatever was granted and narrowed."""
    User.objects.exclude(username="mia").delete()
    Group.objects.all().delete()
    Document.objects.all().delete()
    users = [user_create(username=f"user{n}", is_admin=n == admin) for n in range(4)]
    groups = [group_create(name=f"group{n}") for n in range(2)]
    for group, member in members:
        groups[group].members.add(users[member])

    def real(subject: str) -> str:
        kind, _, number = subject.partition(":")
        row = {"user": users, "group": groups}.get(kind, [])
        return f"{kind}:{row[int(number)].id}" if row else subject

    grants_replace(
        knowledge_base=base,
        grants=[(real(subject), role) for subject, role in grants.items()],
        principal=SETUP,
    )
    outer = Document.objects.create(knowledge_base=base, source_key="outer", title="outer")
    inner = Document.objects.create(knowledge_base=base, source_key="inner", title="inner", parent=outer)
    for document, wanted in ((outer, around), (inner, readers)):
        if wanted is not None:
            readers_replace(document=document, readers=[real(subject) for subject in wanted], actor=None)
    inner = Document.objects.select_related("parent", "knowledge_base").get(pk=inner.pk)

    everyone = list(User.objects.filter(is_active=True))
    may = {user for user in everyone if documents_for(principal_for_user(user)).filter(pk=inner.pk).exists()}
    assert set(people_reading(inner)) == may
    told = zip(everyone, document_access_of(everyone, inner), strict=True)
    assert {user for user, access in told if access.may_read} == may
    enters = {u for u in everyone if knowledge_bases_for(principal_for_user(u)).filter(pk=base.pk).exists()}
    assert set(people_in(base)) == enters
    for user, access in zip(everyone, document_access_of(everyone, inner), strict=True):
        assert access.access.role == role_in(principal_for_user(user), base)
