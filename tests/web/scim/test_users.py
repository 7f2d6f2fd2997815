"""People come, change and go by a directory."""

from typing import Any

import pytest
from django.test import Client

from cairn.accounts.models import User
from cairn.accounts.services import api_key_create, user_create
from cairn.audit.models import Event
from tests.conftest import PASSWORD
from tests.web.scim.conftest import USER, Directory, assert_error, directory_for

ABSENT = "00000000-0000-0000-0000-000000000001"


def test_user_is_created_found_changed_and_deleted(directory: Directory) -> None:
    made = directory.user_made(
        "rob@example.org",
        externalId="00u1",
        name={"givenName": "Rob", "familyName": "Roe"},
        emails=[{"value": "rob@example.org", "type": "work", "primary": True}],
        active=True,
        password="not kept at all",
    )
    assert made == {
        "schemas": [USER],
        "id": made["id"],
        "externalId": "00u1",
        "userName": "rob@example.org",
        "active": True,
        "emails": [{"value": "rob@example.org", "type": "work", "primary": True}],
        "meta": made["meta"],
    }
    row = User.objects.get(pk=made["id"])
    assert not row.is_admin
    assert not row.has_usable_password()
    found = directory.get(f"/Users/{row.id}")
    assert found.json() == made
    assert made["meta"]["location"] == f"http://testserver/scim/v2/Users/{row.id}"
    replaced = directory.send(
        "PUT", f"/Users/{row.id}", {"schemas": [USER], "userName": "rob", "externalId": "2"}
    )
    assert replaced.json()["userName"] == "rob"
    assert replaced.json()["active"] is True
    assert "emails" not in replaced.json()
    assert directory.find("/Users", 'externalId eq "2"') == [made["id"]]
    assert directory.send("DELETE", f"/Users/{row.id}").status_code == 204
    assert_error(directory.get(f"/Users/{row.id}"), 404)
    events = Event.objects.filter(actor=directory.user.id, subject=f"user:{row.id}").order_by("id")
    assert [event.action for event in events] == [
        "user.created",
        "user.changed",  # an external id
        "user.changed",  # name and address
        "user.changed",
        "user.deleted",
        "erasure.done",
    ]


def test_post_returns_a_location(directory: Directory) -> None:
    response = directory.send("POST", "/Users", {"schemas": [USER], "userName": "rob"})
    assert response["Location"] == response.json()["meta"]["location"]


@pytest.mark.parametrize("active", [False, "False", "false"])
@pytest.mark.parametrize("op", ["replace", "Replace", "Add"])
def test_deactivated_user_is_signed_out_immediately(directory: Directory, active: Any, op: str) -> None:
    rob = user_create(username="rob", password=PASSWORD)
    _, key = api_key_create(user=rob, label="mine")
    client = Client()
    client.force_login(rob)
    bearer = {"Authorization": f"Bearer {key}"}
    assert (
        client.get("/api/v1/me").status_code == Client().get("/api/v1/me", headers=bearer).status_code == 200
    )

    changed = directory.patch(f"/Users/{rob.id}", {"op": op, "path": "active", "value": active})

    assert changed.json()["active"] is False
    assert (
        client.get("/api/v1/me").status_code == Client().get("/api/v1/me", headers=bearer).status_code == 401
    )
    again = directory.patch(f"/Users/{rob.id}", {"op": "replace", "value": {"active": "True"}})
    assert again.json()["active"] is True


WORK = 'emails[type eq "work"].value'


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Add", "path": WORK, "value": "new@example.org"},
        {"op": "Replace", "path": WORK, "value": "new@example.org"},
        {"op": "replace", "value": {WORK: "new@example.org", "name.givenName": "Rob"}},
        {"op": "replace", "path": "emails", "value": [{"value": "new@example.org", "primary": True}]},
        {"op": "replace", "value": {"emails": [{"value": "new@example.org"}], "title": "Clerk"}},
    ],
)
@pytest.mark.parametrize("before", ["", "old@example.org"])
def test_addresses_are_set_in_every_way(directory: Directory, operation: dict[str, Any], before: str) -> None:
    rob = user_create(username="rob", email=before)
    changed = directory.patch(f"/Users/{rob.id}", operation)
    assert [each["value"] for each in changed.json()["emails"]] == ["new@example.org"]
    removed = directory.patch(f"/Users/{rob.id}", {"op": "remove", "path": 'emails[type eq "work"]'})
    assert "emails" not in removed.json()
    rob.refresh_from_db()
    assert rob.email == ""


def test_display_names_are_accepted_and_preserved_if_not_sent(directory: Directory) -> None:
    made = directory.user_made("mia", displayName="Mia Meyer")
    assert made["displayName"] == "Mia Meyer"
    mia = f"/Users/{made['id']}"
    changed = directory.patch(mia, {"op": "replace", "path": "displayName", "value": "Mia Schulz"})
    assert changed.json()["displayName"] == "Mia Schulz"
    kept = directory.send("PUT", mia, {"schemas": [USER], "userName": "mia"})
    assert kept.json()["displayName"] == "Mia Schulz"
    assert User.objects.get(pk=made["id"]).label == "Mia Schulz (mia)"


def test_duplicate_username_returns_uniqueness(directory: Directory) -> None:
    rob = user_create(username="Rob")
    eve = directory.user_made("eve", externalId="1")
    for name in ("Rob", "rob", "ROB"):
        assert_error(
            directory.send("POST", "/Users", {"schemas": [USER], "userName": name}), 409, "uniqueness"
        )
    taken = directory.patch(f"/Users/{eve['id']}", {"op": "replace", "path": "userName", "value": "rob"})
    assert_error(taken, 409, "uniqueness")
    taken = directory.patch(f"/Users/{rob.id}", {"op": "replace", "path": "externalId", "value": "1"})
    assert_error(taken, 409, "uniqueness")
    assert User.objects.count() == 3


def test_scim_cannot_make_admins_or_remove_the_last_one(directory: Directory) -> None:
    rob = directory.user_made("rob", is_admin=True, roles=[{"value": "admin"}])
    directory.patch(
        f"/Users/{rob['id']}",
        {"op": "add", "path": "roles", "value": [{"value": "admin"}]},
        {"op": "add", "path": "is_admin", "value": True},
        {"op": "replace", "value": {"is_admin": True, "isAdmin": True, "is_superuser": True}},
    )
    assert not User.objects.get(pk=rob["id"]).is_admin
    own = f"/Users/{directory.user.id}"
    assert_error(directory.patch(own, {"op": "replace", "path": "active", "value": False}), 409)
    assert_error(directory.send("DELETE", own), 409)
    directory.user.refresh_from_db()
    assert directory.user.is_admin
    assert directory.user.is_active


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "invalidValue"),
        ({"userName": ""}, "invalidValue"),
        ({"userName": "a b"}, "invalidValue"),
        ({"userName": "a" * 151}, "invalidValue"),
        ({"userName": 7}, "invalidValue"),
        ({"userName": "rob", "active": "perhaps"}, "invalidValue"),
        ({"userName": "rob", "emails": [{"value": "no address"}]}, "invalidValue"),
        ({"userName": "rob", "emails": "rob@example.org"}, "invalidValue"),
        ({"userName": "rob", "externalId": "x" * 256}, "invalidValue"),
        ({"userName": "r\0b"}, "invalidValue"),
        ({"userName": "r\ud800b"}, "invalidValue"),
        ([], "invalidSyntax"),
        ("rob", "invalidSyntax"),
    ],
)
def test_invalid_people_are_refused(directory: Directory, body: Any, kind: str) -> None:
    sent = {"schemas": [USER], **body} if isinstance(body, dict) else body
    assert_error(directory.send("POST", "/Users", sent), 400, kind)
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "replace", "path": "id", "value": ABSENT}, "mutability"),
        ({"op": "replace", "path": "((((", "value": 1}, "invalidPath"),
        ({"op": "replace", "path": "x" * 5000, "value": 1}, "invalidPath"),
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "explode", "path": "active"}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": "perhaps"}, "invalidValue"),
        ({"op": "replace", "path": 'emails[type ne "work"].value', "value": "a@example.org"}, "noTarget"),
        ({"op": "replace", "path": 7, "value": True}, "invalidValue"),
        ({"path": "active", "value": True}, "invalidValue"),
    ],
)
def test_invalid_changes_are_refused(directory: Directory, operation: dict[str, Any], kind: str) -> None:
    rob = directory.user_made("rob")
    first = {"op": "replace", "path": "active", "value": False}
    assert_error(directory.patch(f"/Users/{rob['id']}", first, operation), 400, kind)
    assert directory.get(f"/Users/{rob['id']}").json() == rob


def test_lists_are_paged_and_limited(directory: Directory) -> None:
    ids = [str(directory.user.id), *(directory.user_made(f"u{n}")["id"] for n in range(4))]
    page = directory.get("/Users", startIndex="2", count="2").json()
    assert [each["id"] for each in page["Resources"]] == ids[1:3]
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (5, 2, 2)
    assert directory.get("/Users", count="0").json()["Resources"] == []
    assert directory.get("/Users", count="-1", startIndex="-9").json()["startIndex"] == 1
    for number in ("9" * 30, "1" + "0" * 18, "999999999"):
        far = directory.get("/Users", startIndex=number, count=number)
        assert far.status_code in {200, 400}
        assert far.json().get("Resources", []) == []
    assert_error(directory.get("/Users", startIndex="9" * 5000), 400, "invalidValue")
    assert_error(directory.get("/Users", startIndex="two"), 400, "invalidValue")
    few = directory.get("/Users", attributes="userName").json()["Resources"][0]
    assert set(few) == {"schemas", "id", "userName"}


def test_users_are_found_by_the_filters_of_directories(directory: Directory) -> None:
    rob = directory.user_made("rob@example.org", externalId='a"b', emails=[{"value": "r@example.org"}])["id"]
    eve = directory.user_made("eve")["id"]
    for text in (
        'userName eq "ROB@example.org"',
        'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "rob@example.org"',
        r'externalId eq "a\"b"',
        f'id eq "{rob}"',
        'emails eq "r@example.org"',
        'emails.value eq "R@example.org"',
        'emails[type eq "work" and value eq "r@example.org"]',
        'emails[type eq "work"].value eq "r@example.org"',
        f'userName eq "rob@example.org" and id eq "{rob}"',
        '(userName eq "nobody") or (userName eq "rob@example.org")',
    ):
        assert directory.find("/Users", text) == [rob], text
    assert directory.find("/Users", 'userName eq "eve" or userName eq "rob@example.org"') == [rob, eve]
    for text in (
        'userName eq "%"',
        'userName eq "_ve"',
        'id eq "x"',
        'userName eq "eve" and externalId eq "a"',
    ):
        assert directory.find("/Users", text) == [], text
    assert directory.find("/Users", 'userName eq "eve\' OR 1=1 --"') == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "userName",
        "userName eq",
        "userName eq eve",
        "userName eq 7",
        "userName eq null",
        'userName co "e"',
        'userName ne "e"',
        "userName pr",
        'not (userName eq "e")',
        'password eq "x"',
        'is_admin eq "True"',
        'is_admin__exact eq "True"',
        'userName__startswith eq "a"',
        'active eq "x"',
        'userName eq "e" or not (externalId pr)',
        "emails[type pr]",
        r'userName eq "\u0000"',
        r'userName eq "\ud800"',
        'userName eq "\0"',
        'userName eq "a" ; drop table',
        "(" * 900,
        "not (" * 150 + 'userName eq "e"' + ")" * 150,
        'userName eq "e"' + ' or userName eq "e"' * 100,
    ],
)
def test_other_filters_are_rejected(directory: Directory, text: str) -> None:
    response = directory.get("/Users", filter=text)
    assert response.status_code == 400, response.content
    assert response.json()["scimType"] in {"invalidFilter", "invalidValue"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"userName": NaN}',
        b'{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "\\ud800"}',
        b'{"schemas": 7, "userName": {"a": []}}',
        b'{"userName": 1' + b"0" * 5000 + b"}",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/Users"), ("POST", "/Groups"), ("PUT", "/Users/{}"), ("PATCH", "/Users/{}")],
)
def test_invalid_resource_bodies_are_rejected(
    directory: Directory, raw: bytes, method: str, path: str
) -> None:
    response = directory.send(method, path.format(directory.user.id), raw=raw)
    assert 400 <= response.status_code < 500, response.content
    assert response.json()["scimType"] in {"invalidSyntax", "invalidValue"}


def test_oversized_body_is_rejected(directory: Directory) -> None:
    raw = b'{"userName": "' + b"a" * (5 << 20) + b'"}'
    assert_error(directory.send("POST", "/Users", raw=raw), 413)


def test_too_many_operations_are_refused(directory: Directory) -> None:
    rob = directory.user_made("rob")
    many = [{"op": "replace", "path": "active", "value": True}] * 1001
    assert_error(directory.patch(f"/Users/{rob['id']}", *many), 400, "invalidValue")


@pytest.mark.parametrize(
    "path", ["/Users/x", "/Groups/x", f"/Users/{ABSENT}", f"/Groups/{ABSENT}", "/Nothing", "/"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_missing_resource_is_not_found(directory: Directory, method: str, path: str) -> None:
    assert_error(directory.send(method, path), 404)


def test_accounts_that_no_directory_sees_are_not_changed_either(directory: Directory) -> None:
    hidden = user_create(username="red-team", is_active=False)
    User.objects.filter(pk=hidden.pk).update(hidden=True)
    path, body = f"/Users/{hidden.pk}", {"schemas": [USER], "userName": "mine", "active": True}
    assert_error(directory.send("PUT", path, body), 404)
    assert_error(directory.patch(path, {"op": "replace", "path": "active", "value": True}), 404)
    assert_error(directory.send("DELETE", path), 404)
    hidden.refresh_from_db()
    assert (hidden.username, hidden.is_active) == ("red-team", False)


def test_wrong_method_returns_allowed_methods(directory: Directory) -> None:
    response = directory.send("DELETE", "/Users")
    assert_error(response, 405)
    assert response["Allow"] == "GET, POST"


PATHS = ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes", "/Users", "/Groups", "/Nothing"]


@pytest.mark.parametrize("path", PATHS)
def test_scim_requires_an_admin_key_with_the_scope_administer(directory: Directory, path: str) -> None:
    assert_error(Client().get(f"/scim/v2{path}"), 401)
    browser = Client()
    browser.force_login(directory.user)
    assert_error(browser.get(f"/scim/v2{path}"), 401)
    refused = {
        "no admin": directory_for("rob", is_admin=False),
        "another scope": directory_for("eve", is_admin=True, scopes=["manage", "ingest", "search", "ask"]),
        "limited": directory_for("max", is_admin=True, knowledge_bases=[]),
    }
    for who, caller in refused.items():
        assert_error(caller.get(path), 403), who
    directory.user.is_active = False
    directory.user.save()
    assert_error(directory.get(path), 401)
