"""One's own password and API keys."""

import re
from collections.abc import Callable

from django.test import Client

from cairn.accounts.models import ApiKey, User
from cairn.accounts.services import api_key_create, api_key_find
from tests.conftest import PASSWORD
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
NEW = "another long passphrase"


def change(client: Client, old: str, new: str, again: str) -> int:
    fields = {"old_password": old, "new_password1": new, "new_password2": again}
    return client.post("/account", fields).status_code


def test_the_password_is_changed_and_other_sessions_end(signed_in: SignIn, rob: User) -> None:
    here, elsewhere = signed_in(rob), signed_in(rob)
    assert change(here, PASSWORD, NEW, NEW) == 302
    assert "Your password is changed." in text_of(here.get("/account"))
    assert elsewhere.get("/account").status_code == 302
    rob.refresh_from_db()
    assert rob.check_password(NEW)


def test_a_password_that_will_not_do_is_explained(signed_in: SignIn, rob: User) -> None:
    client = signed_in(rob)
    for old, new, again in (
        ("wrong", NEW, NEW),
        (PASSWORD, NEW, "different"),
        (PASSWORD, "password", "password"),
    ):
        assert change(client, old, new, again) == 422
    rob.refresh_from_db()
    assert rob.check_password(PASSWORD)


def test_a_new_key_is_shown_once_and_works(signed_in: SignIn, rob: User) -> None:
    client = signed_in(rob)
    html = text_of(client.post("/account/keys", {"label": "Import", "scopes": ["search", "ask"]}))
    [key] = re.findall(r'<code id="fresh-key">(.*?)</code>', html)
    found = api_key_find(key)
    assert found is not None
    assert (found.user, found.label, found.scopes) == (rob, "Import", ["search", "ask"])
    assert key not in text_of(client.get("/account"))
    assert found.prefix in text_of(client.get("/account"))


def test_a_key_needs_a_name_and_known_scopes(signed_in: SignIn, rob: User) -> None:
    client = signed_in(rob)
    for fields in (
        {"label": " ", "scopes": ["ask"]},
        {"label": "x"},
        {"label": "x", "scopes": ["everything"]},
    ):
        assert client.post("/account/keys", fields).status_code == 422
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_by_its_owner_only(signed_in: SignIn, rob: User, admin: User) -> None:
    row, key = api_key_create(user=rob, label="Import")
    address = f"/account/keys/{row.id}/revoke"
    assert signed_in(admin).post(address).status_code == 404
    assert api_key_find(key) is not None
    assert signed_in(rob).post(address).status_code == 302
    assert api_key_find(key) is None
    assert signed_in(rob).post("/account/keys/nonsense/revoke").status_code == 404
