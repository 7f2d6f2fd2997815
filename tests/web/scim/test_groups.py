"""Groups managed by a directory over SCIM."""

import json
import time
from typing import Any
from uuid import uuid4

import pytest

from cairn.access.models import Role
from cairn.access.permissions import knowledge_bases_for
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give
from cairn.accounts.external_groups import groups_replace
from cairn.accounts.models import Group, User
from cairn.accounts.services import group_create, user_create
from cairn.audit.models import Event
from tests.bases import make_base
from tests.principals import SETUP
from tests.web.scim.conftest import GROUP, Directory, assert_error


@pytest.fixture
def people(db: None) -> list[str]:
    return [str(user_create(username=f"u{n}").id) for n in range(3)]


def test_group_is_created_found_changed_and_deleted(directory: Directory, people: list[str]) -> None:
    made = directory.group_made("Finance", people[:2], externalId="g1")
    assert made["displayName"] == "Finance"
    assert {each["value"] for each in made["members"]} == set(people[:2])
    assert made["members"][0]["$ref"].endswith(f"/scim/v2/Users/{made['members'][0]['value']}")
    row = Group.objects.get(pk=made["id"])
    assert (row.source, row.external_id) == ("scim", "g1")
    assert directory.get(f"/Groups/{row.id}").json() == made
    body = {"schemas": [GROUP], "displayName": "Money", "members": [{"value": people[2]}]}
    replaced = directory.send("PUT", f"/Groups/{row.id}", body).json()
    assert replaced["displayName"] == "Money"
    assert directory.members(made["id"]) == {people[2]}
    assert directory.send("DELETE", f"/Groups/{row.id}").status_code == 204
    assert_error(directory.get(f"/Groups/{row.id}"), 404)
    events = list(Event.objects.order_by("id").filter(subject=f"group:{row.id}"))
    assert [event.action for event in events] == ["group.created", "group.changed", "group.deleted"]
    assert events[1].detail["added"] == [people[2]]
    assert events[1].detail["removed"] == sorted(people[:2])


def test_members_are_patched_in_every_directory_dialect(directory: Directory, people: list[str]) -> None:
    a, b, c = people
    path = f"/Groups/{directory.group_made('Finance')['id']}"
    steps: list[tuple[dict[str, Any], set[str]]] = [
        ({"op": "Add", "path": "members", "value": [{"value": a}]}, {a}),
        ({"op": "add", "value": {"members": [{"value": b, "display": "u1"}]}}, {a, b}),
        ({"op": "add", "path": f"{GROUP}:members", "value": {"value": c}}, {a, b, c}),
        ({"op": "Remove", "path": f'members[value eq "{a}"]'}, {b, c}),
        ({"op": "Remove", "path": "members", "value": [{"value": b}]}, {c}),
        ({"op": "replace", "path": "members", "value": [{"value": a}, {"value": b}]}, {a, b}),
        ({"op": "remove", "path": f'members[value eq "{a}" or value eq "{c}"]'}, {b}),
        ({"op": "remove", "path": f'members[value eq "{a}"]'}, {b}),
        ({"op": "add", "path": "members", "value": [{"value": b}]}, {b}),
        ({"op": "remove", "path": "members"}, set()),
        ({"op": "add", "path": "members", "value": []}, set()),
    ]
    for operation, after in steps:
        assert directory.patch(path, operation).status_code == 204, operation
        assert directory.members(path.removeprefix("/Groups/")) == after, operation


def test_names_change_by_patch_and_the_answer_may_be_asked_for(
    directory: Directory, people: list[str]
) -> None:
    made = directory.group_made("Finance", people)
    path = f"/Groups/{made['id']}"
    body = {"id": made["id"], "displayName": "Money"}
    assert directory.patch(path, {"op": "replace", "value": body}).status_code == 204
    answer = directory.patch(
        path, {"op": "add", "path": "externalId", "value": "9"}, attributes="displayName"
    )
    assert answer.json()["displayName"] == "Money"
    assert "members" not in answer.json()
    assert directory.find("/Groups", 'externalId eq "9"') == [made["id"]]
    assert directory.members(made["id"]) == set(people)


def test_groups_of_other_sources_are_neither_seen_nor_changed(
    directory: Directory, people: list[str]
) -> None:
    ours = group_create(name="Finance", members=[user_create(username="rob").id])
    groups_replace(User.objects.get(username="rob"), source="oidc:okta", names=["Finance"])
    theirs = Group.objects.get(source="oidc:okta")

    made = directory.group_made("Finance", people[:1])

    assert directory.find("/Groups", 'displayName eq "Finance"') == [made["id"]]
    assert directory.get("/Groups").json()["totalResults"] == 1
    for group in (ours, theirs):
        path = f"/Groups/{group.id}"
        assert_error(directory.get(path), 404)
        assert_error(directory.patch(path, {"op": "remove", "path": "members"}), 404)
        assert_error(directory.send("PUT", path, {"schemas": [GROUP], "displayName": "x"}), 404)
        assert_error(directory.send("DELETE", path), 404)
        assert [user.username for user in group.members.all()] == ["rob"]


def test_grant_to_a_scim_group_ends_with_the_membership(directory: Directory, people: list[str]) -> None:
    base = make_base(name="Handbook", principal=principal_for_user(directory.user))
    made = directory.group_made("Finance", people[:1])
    grant_give(knowledge_base=base, subject=f"group:{made['id']}", role=Role.READER, principal=SETUP)
    somebody = User.objects.get(pk=people[0])
    assert list(knowledge_bases_for(principal_for_user(somebody))) == [base]
    directory.patch(f"/Groups/{made['id']}", {"op": "remove", "path": f'members[value eq "{people[0]}"]'})
    assert list(knowledge_bases_for(principal_for_user(somebody))) == []


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 400, "invalidValue"),
        ({"displayName": " "}, 400, "invalidValue"),
        ({"displayName": "a" * 151}, 400, "invalidValue"),
        ({"displayName": "Taken"}, 409, "uniqueness"),
        ({"displayName": "New", "externalId": "taken"}, 409, "uniqueness"),
        ({"displayName": "New", "externalId": "x" * 256}, 400, "invalidValue"),
        ({"displayName": "New", "members": [{"value": str(uuid4())}]}, 400, "invalidValue"),
        ({"displayName": "New", "members": [{"value": "x"}]}, 400, "invalidValue"),
        ({"displayName": "New", "members": [{"value": 7}]}, 400, "invalidValue"),
        ({"displayName": "New", "members": ["x"]}, 400, "invalidValue"),
        ({"displayName": "New", "members": [{"value": "x"}] * 5001}, 400, "invalidValue"),
    ],
)
def test_invalid_groups_are_refused(
    directory: Directory, body: dict[str, Any], status: int, kind: str
) -> None:
    directory.group_made("Taken", externalId="taken")
    assert_error(directory.send("POST", "/Groups", {"schemas": [GROUP], **body}), status, kind)
    assert Group.objects.count() == 1


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "replace", "path": "displayName", "value": ""}, "invalidValue"),
        ({"op": "remove", "path": "displayName"}, "mutability"),
        ({"op": "add", "path": "members", "value": [{"value": "nobody"}]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": "nobody"}, "invalidValue"),
        ({"op": "add", "path": 'members[value eq "x"]', "value": [{"value": "x"}]}, "invalidPath"),
        ({"op": "remove", "path": 'members[display eq "x"]'}, "invalidPath"),
        ({"op": "remove", "path": 'members[value ne "x"]'}, "invalidPath"),
        ({"op": "remove", "path": "members["}, "invalidPath"),
        ({"op": "remove", "path": "members.value"}, "invalidPath"),
        ({"op": "replace", "path": 'members[value eq "x"].display', "value": "y"}, "invalidPath"),
        ({"op": "explode", "path": "members"}, "invalidValue"),
    ],
)
def test_invalid_changes_are_refused(
    directory: Directory, people: list[str], operation: dict[str, Any], kind: str
) -> None:
    made = directory.group_made("Finance", people)
    first = {"op": "remove", "path": "members"}
    assert_error(directory.patch(f"/Groups/{made['id']}", first, operation), 400, kind)
    assert directory.get(f"/Groups/{made['id']}").json() == made


@pytest.mark.slow
def test_group_size_is_limited(directory: Directory) -> None:
    people = User.objects.bulk_create([User(username=f"p{n}", name_skeleton=f"p{n}") for n in range(5001)])
    ids = [str(user.id) for user in people]
    made = directory.group_made("Everyone", ids[:5000])
    path = f"/Groups/{made['id']}"
    began = time.monotonic()
    assert_error(
        directory.patch(path, {"op": "add", "path": "members", "value": [{"value": ids[5000]}]}),
        400,
        "invalidValue",
    )
    gone = [{"value": each} for each in ids[:2500]]
    assert directory.patch(path, {"op": "remove", "path": "members", "value": gone}).status_code == 204
    assert time.monotonic() - began < 10
    assert Group.objects.get().members.count() == 2500


def test_lists_omit_members_on_request(
    directory: Directory, people: list[str], django_assert_max_num_queries: Any
) -> None:
    for n in range(5):
        directory.group_made(f"g{n}", people)
    with django_assert_max_num_queries(8):
        found = directory.get("/Groups", excludedAttributes="members").json()["Resources"]
    assert all("members" not in group for group in found)
    assert "members" in directory.get("/Groups").json()["Resources"][0]
    mine = directory.get("/Groups", filter=f'members eq "{people[0]}" and displayName eq "g1"').json()
    assert mine["totalResults"] == 1
    assert people[0] in json.dumps(mine)
