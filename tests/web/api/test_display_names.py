"""Display names and e-mail addresses of users: who sets them, who sees them."""

import json
from io import BytesIO
from zipfile import ZipFile

import pytest
from django.test import Client

from cairn.accounts.models import User
from cairn.accounts.provisioning import profile_fill
from tests.web.api.conftest import Caller, assert_problem
from web.exports.subject_export import subject_export

MIA = {"display_name": "Mia Meyer", "email": "mia.meyer@example.org"}


def test_admins_set_names_and_addresses(admin: Caller) -> None:
    made = admin.post("/users", {"username": "mia.m", **MIA})
    assert made.status_code == 201
    assert MIA.items() <= made.json().items()
    path = f"/users/{made.json()['id']}"
    changed = admin.patch(path, {"display_name": "  Mia\u202e \t Schulz\u200b "}).json()
    assert (changed["display_name"], changed["email"]) == ("Mia Schulz", MIA["email"])
    cleared = admin.patch(path, {"display_name": "", "email": ""}).json()
    assert (cleared["display_name"], cleared["email"]) == ("", "")
    assert_problem(admin.patch(path, {"email": "no address"}), 422, "invalid")
    assert_problem(admin.patch(path, {"display_name": "x" * 151}), 422, "invalid")


@pytest.mark.parametrize("name", ["Anna Adler (anna)", "Anna\uff08anna\uff09", "Anna \u2768anna\u2769"])
def test_display_name_cannot_imitate_another_users_label(admin: Caller, rob: Caller, name: str) -> None:
    path = f"/users/{rob.user.id}"
    assert_problem(admin.patch(path, {"display_name": name}), 422, "invalid")
    profile_fill(rob.user, display_name=name, email="")
    assert User.objects.get(pk=rob.user.pk).display_name.endswith("[anna]")
    User.objects.filter(pk=rob.user.pk).update(display_name=name)  # from before names were checked
    assert admin.patch(path, {"display_name": name, "email": "a@example.org"}).status_code == 200


def test_admins_search_people_by_name_display_name_and_address(admin: Caller) -> None:
    admin.post("/users", {"username": "u4711", **MIA})
    for text in ("4711", "meyer", "MIA M", "@example"):
        found = admin.get(f"/users?q={text}").json()["items"]
        assert [each["username"] for each in found] == ["u4711"], text


def test_addresses_are_found_and_seen_by_admins_only(admin: Caller, rob: Caller) -> None:
    admin.post("/users", {"username": "u4711", **MIA})
    by_name = rob.get("/share-subjects?q=Mia").json()
    assert [(each["name"], each["label"]) for each in by_name] == [("u4711", "Mia Meyer (u4711)")]
    assert MIA["email"] not in json.dumps(by_name)
    assert rob.get("/share-subjects?q=mia.meyer@").json() == []
    assert_problem(rob.get("/users?q=Mia"), 403, "forbidden")


def test_people_change_their_display_name_but_not_their_address(rob: Caller) -> None:
    browser = Client()
    browser.force_login(rob.user)
    form = {"display_name": "Rob <b>Roy</b>", "email": "other@example.org"}
    assert browser.post("/account/display-name", form)["Location"] == "/account"
    user = User.objects.get(pk=rob.user.pk)
    assert (user.display_name, user.email) == ("Rob <b>Roy</b>", "")
    assert "Rob &lt;b&gt;Roy&lt;/b&gt;" in browser.get("/account").content.decode()
    assert rob.get("/me").json()["display_name"] == "Rob <b>Roy</b>"
    refused = browser.post("/account/display-name", {"display_name": "x" * 151}, follow=True)
    assert "up to 150 characters" in refused.content.decode()


def test_equal_display_names_are_disambiguated(admin: Caller, rob: Caller) -> None:
    admin.patch(f"/users/{rob.user.id}", {"display_name": "ada"})
    User.objects.filter(pk=admin.user.pk).update(display_name="ada")
    found = rob.get("/share-subjects?q=ada").json()
    assert [each["label"] for each in found] == [f"ada ({admin.user.username})"]


def test_subject_export_includes_display_name_and_user_name(admin: Caller) -> None:
    made = admin.post("/users", {"username": "mia.m", **MIA}).json()
    with ZipFile(BytesIO(b"".join(subject_export(User.objects.get(pk=made["id"]))))) as file:
        text = "".join(file.read(name).decode() for name in file.namelist())
    for value in MIA.values():
        assert value in text
