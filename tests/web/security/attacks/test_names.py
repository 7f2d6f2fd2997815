# ruff: noqa: RUF001 - names that look alike are the subject of this module
"""No account gets a name that people take for another one's."""

import json
from collections.abc import Callable

import pytest
from django.test import Client

from cairn.accounts.models import Identity, User
from cairn.accounts.services import user_create, user_update
from cairn.settings.identity import OidcProvider
from tests.web.api.conftest import Caller, caller_for
from tests.web.security.attacks.recorder import Attack
from web.identity.jit_users import user_arrived

pytestmark = pytest.mark.django_db
FORGED = {
    "one Cyrillic letter": "аlice",
    "one Cyrillic letter inside": "ali\u0441e",
    "one Greek letter": "αlice",
    "all Cyrillic": "аӏісе",
    "Cyrillic with a dot": "аӏісе.",
    "full width": "ａlice",
    "mathematical": "\U0001d41a\U0001d425\U0001d422\U0001d41c\U0001d41e",
    "upper case": "ALICE",
    "dotless i": "alıce",
    "dotted capital i": "alİce",
    "IPA alpha": "ɑlice",
    "ideograph": "a丨ice",
    "trailing dot": "alice.",
    "leading dot": ".alice",
    "trailing space": "alice ",
    "inner space": "al ice",
    "no-break space": "al\u00a0ice",
    "zero-width space": "al\u200bice",
    "zero-width joiner": "al\u200dice",
    "byte order mark": "alice\ufeff",
    "soft hyphen": "al\u00adice",
    "right-to-left override": "alice\u202e",
    "Hangul filler": "alice\u3164",
    "Cherokee letter": "ꭺlice",
}
HONEST = [
    "bob", "Олег", "Ελένη", "山田", "佐々木", "たなかハナコ", "山田ゆうサーバー", "김철수", "李雷", "josé",
    "weiß", "łukasz", "çağdaş", "علی", "דוד", "alice2", "al.ice", "алиса", "олег@example.com",
]  # fmt: skip
LATE = ["аlice", "аӏісе", "ALICE", "alice.", "ａlice", "ɑlice", "alice\u3164", "al\u200bice"]


@pytest.fixture
def ada() -> Caller:
    return caller_for("ada", is_admin=True)


def by_rest(ada: Caller, name: str) -> bool:
    response = ada.post("/users", {"username": name})
    assert response.status_code in {201, 409, 422}, response.content
    return bool(response.status_code == 201)


def by_console(ada: Caller, name: str) -> bool:
    """Send what the console's page sends, with a browser session."""
    client = Client()
    client.force_login(ada.user)
    response = client.post("/api/v1/users", {"username": name}, "application/json")
    assert response.status_code in {201, 409, 422}, response.content
    return bool(response.status_code == 201)


def by_rename(ada: Caller, name: str) -> bool:
    user = User.objects.filter(username="carol").first() or user_create(username="carol")
    response = ada.patch(f"/users/{user.id}", {"username": name})
    assert response.status_code in {200, 409, 422}, response.content
    return bool(response.status_code == 200)


def _scim(ada: Caller, method: str, path: str, name: str) -> int:
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name}
    headers = {"Authorization": f"Bearer {ada.key}"}
    send = getattr(Client(), method)
    response = send(f"/scim/v2/Users{path}", json.dumps(body), "application/scim+json", headers=headers)
    assert response.status_code in {200, 201, 400, 409}, response.content
    return int(response.status_code)


def by_scim(ada: Caller, name: str) -> bool:
    return _scim(ada, "post", "", name) == 201


def by_scim_rename(ada: Caller, name: str) -> bool:
    user = User.objects.filter(username="carol").first() or user_create(username="carol")
    return _scim(ada, "put", f"/{user.id}", name) == 200


WAYS = [by_rest, by_console, by_rename, by_scim, by_scim_rename]


def looks_like_alice(user: User) -> bool:
    return user.username.casefold().strip(". \u3164\u200b") in {
        "alice",
        *(name.casefold() for name in FORGED.values()),
    }


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", FORGED)
def test_lookalike_username_is_rejected(
    ada: Caller, attack: Attack, way: Callable[[Caller, str], bool], kind: str
) -> None:
    """White space around a name is dropped before, so that such a name is just taken."""
    user_create(username="alice")
    attack.refused(not way(ada, FORGED[kind]), ascii(FORGED[kind]))
    attack.refused(
        User.objects.filter(username__in=["carol", "ada", "alice"]).count() == User.objects.count()
    )
    honest = HONEST[list(FORGED).index(kind) % len(HONEST)]
    attack.allowed(way(ada, honest), ascii(honest))


@pytest.mark.parametrize("name", LATE)
def test_provider_user_with_a_lookalike_name_is_distinguishable(attack: Attack, name: str) -> None:
    user_create(username="alice")
    provider = OidcProvider(id="okta", name="Okta", server_url="https://okta.example", client_id="x")
    user = user_arrived(provider, {"preferred_username": name})
    attack.refused(not looks_like_alice(user), ascii(user.username))
    again = user_arrived(provider, {"preferred_username": name})
    attack.refused(again.username != user.username and not looks_like_alice(again), ascii(again.username))
    for honest in ("иван", "山田", "josé"):
        given = user_arrived(provider, {"preferred_username": honest})
        attack.allowed(given.username == honest, ascii(given.username))


@pytest.mark.parametrize("name", ["аlice", "аӏісе"])
def test_existing_account_with_a_lookalike_name_still_works(ada: Caller, attack: Attack, name: str) -> None:
    user_create(username="alice")
    old = user_create(username="old", password="correct horse battery staple")
    User.objects.filter(pk=old.pk).update(username=name, name_skeleton="alice", has_older_lookalike=True)
    old.refresh_from_db()
    Identity.objects.create(user=old, source="scim", external_id="7")
    attack.allowed(user_update(old, email="old@example.org").username == name)
    attack.allowed(_scim(ada, "put", f"/{old.id}", name) == 200, "its directory sends the name as it is")
    body = {"username": name, "password": "correct horse battery staple"}
    attack.allowed(Client().post("/login", body).status_code == 302)
    attack.allowed(ada.patch(f"/users/{old.id}", {"username": "olga"}).status_code == 200)
    attack.refused(ada.patch(f"/users/{old.id}", {"username": name}).status_code != 200, "and back again")
