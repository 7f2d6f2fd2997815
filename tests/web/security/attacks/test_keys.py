"""API keys: guessed, cut, changed, expired, revoked, or brought by another way."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cairn.accounts.models import ApiKey, User
from tests.web.api.conftest import Caller
from tests.web.security.attacks.recorder import Attack

CHANGES: dict[str, Callable[[str], str]] = {
    "nothing": lambda key: "",
    "the prefix alone": lambda key: key.rpartition("_")[0] + "_",
    "the prefix, and a guess": lambda key: key.rpartition("_")[0] + "_" + "a" * len(key.rpartition("_")[2]),
    "the last character missing": lambda key: key[:-1],
    "the last character changed": lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
    "one more character": lambda key: f"{key}a",
    "in capitals": str.upper,
    "turned around": lambda key: key[::-1],
    "twice": lambda key: f"{key},{key}",
    "a zero byte at the end": lambda key: f"{key}%00",
    "a pattern": lambda key: f"{key[:12]}%",
    "a lookup": lambda key: f"{key}' OR '1'='1",
    "without its secret": lambda key: key.partition("_")[0],
    "a very long one": lambda key: key * 500,
}


def status(headers: dict[str, str], path: str = "/api/v1/me") -> int:
    return int(Client().get(path, headers=headers).status_code)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_altered_api_key_is_rejected(attack: Attack, mia: Caller, change: Callable[[str], str]) -> None:
    attack.refused(status(bearer(change(mia.key))) == 401)
    attack.allowed(status(bearer(mia.key)) == 200)


WAYS: dict[str, Callable[[str], tuple[dict[str, str], str]]] = {
    "in the query": lambda key: ({}, f"/api/v1/me?api_key={key}&access_token={key}"),
    "in a cookie": lambda key: ({"Cookie": f"Authorization=Bearer {key}; api_key={key}"}, "/api/v1/me"),
    "as a password": lambda key: ({"Authorization": f"Basic {key}"}, "/api/v1/me"),
    "as a token": lambda key: ({"Authorization": f"Token {key}"}, "/api/v1/me"),
    "without a scheme": lambda key: ({"Authorization": key}, "/api/v1/me"),
    "in another header": lambda key: ({"X-Api-Key": key, "X-Authorization": f"Bearer {key}"}, "/api/v1/me"),
    "for a page": lambda key: (bearer(key), "/library"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_api_key_is_accepted_only_in_its_header(attack: Attack, mia: Caller, way: Any) -> None:
    headers, path = way(mia.key)
    attack.refused(status(headers, path) in (401, 302))
    attack.allowed(status(bearer(mia.key)) == 200)


ENDS: dict[str, Callable[[Caller], object]] = {
    "expired": lambda caller: ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1)),
    "revoked": lambda caller: ApiKey.objects.update(revoked_at=timezone.now()),
    "deleted": lambda caller: ApiKey.objects.all().delete(),
    "its owner disabled": lambda caller: User.objects.filter(pk=caller.user.pk).update(is_active=False),
    "its owner deleted": lambda caller: User.objects.filter(pk=caller.user.pk).delete(),
}
DOORS = ("/api/v1/me", "/v1/models", "/scim/v2/Users", "/api/v1/knowledge-bases", "/metrics")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_ended_key_is_rejected_everywhere(attack: Attack, admin: Caller, end: Any, door: str) -> None:
    attack.allowed(status(bearer(admin.key), door) == 200)
    end(admin)
    client = Client(REMOTE_ADDR="203.0.113.7")
    attack.refused(client.get(door, headers=bearer(admin.key)).status_code == 401)
