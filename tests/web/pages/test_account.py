"""One's own password and API keys."""

import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cairn.accounts.models import ApiKey, User
from cairn.accounts.services import api_key_create, api_key_find
from cairn.library.models import KnowledgeBase
from retrieval.engine import Engine
from retrieval.models import GenerationState, IndexGeneration
from tests.conftest import PASSWORD
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
NEW = "another long passphrase"


def change(client: Client, old: str, new: str, again: str) -> int:
    fields = {"old_password": old, "new_password1": new, "new_password2": again}
    return client.post("/account", fields).status_code


def test_password_change_ends_other_sessions(signed_in: SignIn, rob: User) -> None:
    here, elsewhere = signed_in(rob), signed_in(rob)
    assert change(here, PASSWORD, NEW, NEW) == 302
    assert "Password changed." in text_of(here.get("/account"))
    assert elsewhere.get("/account").status_code == 302
    rob.refresh_from_db()
    assert rob.check_password(NEW)


def test_unacceptable_password_is_explained(signed_in: SignIn, rob: User) -> None:
    client = signed_in(rob)
    for old, new, again in (
        ("wrong", NEW, NEW),
        (PASSWORD, NEW, "different"),
        (PASSWORD, "password", "password"),
    ):
        assert change(client, old, new, again) == 422
    rob.refresh_from_db()
    assert rob.check_password(PASSWORD)


def test_new_api_key_is_shown_once_and_works(signed_in: SignIn, rob: User) -> None:
    client = signed_in(rob)
    html = text_of(client.post("/account/keys", {"label": "Import", "scopes": ["search", "ask"]}))
    [key] = re.findall(r'<code id="fresh-key">(.*?)</code>', html)
    found = api_key_find(key)
    assert found is not None
    assert (found.user, found.label, found.scopes) == (rob, "Import", ["search", "ask"])
    assert key not in text_of(client.get("/account"))
    assert found.prefix in text_of(client.get("/account"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("scopes", "path"),
    [(["ask", "search"], "/api/v1/ask"), (["search"], "/api/v1/search"), (["ingest"], "/api/v1/me")],
)
def test_command_shown_with_a_new_key_works(
    signed_in: SignIn, rob: User, engine_override: Engine, scopes: list[str], path: str
) -> None:
    embedder = engine_override.embedder
    IndexGeneration.objects.update_or_create(
        state=GenerationState.ACTIVE,
        defaults={"name": "test", "embedding_model": embedder.model, "dimension": embedder.dimension},
    )
    html = text_of(signed_in(rob).post("/account/keys", {"label": "Import", "scopes": scopes}))
    [shown] = re.findall(r'<code id="fresh-command">(.*?)</code>', html)
    program, *words = shlex.split(unescape(shown))
    assert (program, words.pop(0), words.pop(0)) == ("curl", "-s", f"http://testserver{path}")
    sent = list(zip(words[::2], words[1::2], strict=True))
    headers = dict(value.split(": ", 1) for flag, value in sent if flag == "-H")
    [body] = [value for flag, value in sent if flag == "-d"] or [""]
    content_type = headers.pop("Content-Type", "")
    client = Client(headers=headers)
    answer = client.post(path, body, content_type) if body else client.get(path)
    assert answer.status_code == 200, answer.content


def test_api_key_requires_a_name_and_known_scopes(signed_in: SignIn, rob: User) -> None:
    client = signed_in(rob)
    for fields in (
        {"label": " ", "scopes": ["ask"]},
        {"label": "x"},
        {"label": "x", "scopes": ["everything"]},
    ):
        assert client.post("/account/keys", fields).status_code == 422
    assert not ApiKey.objects.exists()


def test_api_key_can_be_limited_and_expire(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    fields = {
        "label": "Bot",
        "scopes": ["ask"],
        "limited": "yes",
        "knowledge_bases": [base.id],
        "expires": "30",
    }
    html = text_of(signed_in(mia).post("/account/keys", fields))
    assert "only Handbook" in html
    row = ApiKey.objects.get()
    assert row.knowledge_bases == [str(base.id)]
    assert row.expires_at is not None
    assert timedelta(days=29) < row.expires_at - timezone.now() < timedelta(days=31)


@pytest.mark.parametrize(
    "fields",
    [
        {"limited": "yes"},
        {"limited": "yes", "knowledge_bases": ["nonsense"]},
        {"limited": "on"},
        {"expires": "1000000"},
        {"expires": "soon"},
    ],
)
def test_invalid_api_key_limits_are_rejected(signed_in: SignIn, mia: User, fields: dict[str, Any]) -> None:
    answer = signed_in(mia).post("/account/keys", {"label": "Bot", "scopes": ["ask"], **fields})
    assert answer.status_code == 422
    assert not ApiKey.objects.exists()


def test_api_key_cannot_be_limited_to_unreadable_knowledge_bases(
    signed_in: SignIn, rob: User, base: KnowledgeBase
) -> None:
    fields = {"label": "Bot", "scopes": ["ask"], "limited": "yes", "knowledge_bases": [base.id]}
    assert signed_in(rob).post("/account/keys", fields).status_code == 422


def test_admins_see_and_revoke_everybodys_keys(signed_in: SignIn, rob: User, admin: User) -> None:
    row, key = api_key_create(user=rob, label="Import")
    assert signed_in(rob).get("/admin/keys").status_code == 403
    assert signed_in(rob).post(f"/admin/keys/{row.id}/revoke").status_code == 403
    assert api_key_find(key) is not None
    client = signed_in(admin)
    assert row.prefix in text_of(client.get("/admin/keys"))
    assert client.post(f"/admin/keys/{row.id}/revoke").status_code == 302
    assert api_key_find(key) is None
    assert row.prefix not in text_of(client.get("/admin/keys"))
    assert client.post(f"/admin/keys/{row.id}/revoke").status_code == 404


def test_api_key_is_revoked_only_by_its_owner(signed_in: SignIn, rob: User, admin: User) -> None:
    row, key = api_key_create(user=rob, label="Import")
    address = f"/account/keys/{row.id}/revoke"
    assert signed_in(admin).post(address).status_code == 404
    assert api_key_find(key) is not None
    assert signed_in(rob).post(address).status_code == 302
    assert api_key_find(key) is None
    assert signed_in(rob).post("/account/keys/nonsense/revoke").status_code == 404
