"""One-time links with which users set a password."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cairn.accounts.models import PasswordLink, User
from cairn.audit.models import Event
from tests.web.api.conftest import Caller, assert_problem

FRESH = "a fresh one for today"
NOT_VALID = "This link has expired or was already used."


def _make_token(admin: Caller, user: User, **body: int) -> str:
    response = admin.post(f"/users/{user.id}/password-link", body)
    assert response.status_code == 201
    address, _, token = response.json()["url"].partition("#")
    assert address.endswith("/set-password")
    return str(token)


def _set(token: str, password: str = FRESH, repeated: str | None = None) -> tuple[int, str]:
    form = {"token": token, "password": password, "repeated": password if repeated is None else repeated}
    response = Client().post("/set-password", form)
    return response.status_code, response.content.decode()


def _signs_in(user: User, password: str = FRESH) -> bool:
    return User.objects.get(pk=user.pk).check_password(password)


def test_password_link_sets_a_password_once(admin: Caller, rob: Caller) -> None:
    browser = Client()
    browser.force_login(rob.user)
    token = _make_token(admin, rob.user)
    assert token not in str(PasswordLink.objects.values().get())
    assert Client().get("/set-password").status_code == 200
    assert _set(token)[0] == 302
    assert _signs_in(rob.user)
    assert browser.get("/account").status_code == 302  # sessions from before have ended
    status, html = _set(token, "another password again")
    assert status == 422
    assert NOT_VALID in html
    assert _signs_in(rob.user)
    events = Event.objects.filter(subject=f"user:{rob.user.id}", action__startswith="password_link.")
    actions = events.values_list("action", "actor")
    assert list(actions.order_by("id")) == [
        ("password_link.created", admin.user.id), ("password_link.used", rob.user.id),
    ]  # fmt: skip


def test_invited_user_has_no_password_until_setting_one(admin: Caller) -> None:
    made = admin.post("/users", {"username": "eve"}).json()
    eve = User.objects.get(pk=made["id"])
    assert not eve.has_usable_password()
    assert _set(_make_token(admin, eve))[0] == 302
    assert _signs_in(eve)


def test_invalid_password_does_not_use_up_the_link(admin: Caller, rob: Caller) -> None:
    token = _make_token(admin, rob.user)
    assert _set(token, "short")[0] == 422
    assert _set(token, FRESH, "a different one here")[0] == 422
    assert not _signs_in(rob.user)
    assert _set(token)[0] == 302


@pytest.mark.parametrize("way", ["expired", "revoked", "replaced", "changed", "disabled", "deleted"])
def test_password_link_ends_by_expiry_revocation_or_change(admin: Caller, rob: Caller, way: str) -> None:
    token = _make_token(admin, rob.user, days=1)
    path = f"/users/{rob.user.id}"
    if way == "expired":
        PasswordLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif way == "revoked":
        assert admin.delete(f"{path}/password-link").status_code == 204
    elif way == "replaced":
        _make_token(admin, rob.user)
    elif way == "changed":
        admin.patch(path, {"password": "set by an administrator"})
    elif way == "disabled":
        for action in ("deactivate", "activate"):
            admin.post("/users/batch", {"action": action, "users": [str(rob.user.id)]})
    else:
        admin.delete(path)
    status, html = _set(token)
    assert status == 422
    assert NOT_VALID in html
    assert way == "deleted" or not _signs_in(rob.user)


def test_invalid_password_tokens_reveal_nothing(admin: Caller, rob: Caller) -> None:
    _make_token(admin, rob.user)
    for token in ("", "x", str(rob.user.id), "\0", "a" * 5000):
        status, html = _set(token)
        assert status == 422
        assert NOT_VALID in html
        assert "rob" not in html.replace("problem", "")


def test_disabled_users_get_no_link_and_days_are_limited(admin: Caller, rob: Caller) -> None:
    path = f"/users/{rob.user.id}/password-link"
    for days in (0, 31, "7"):
        assert_problem(admin.post(path, {"days": days}), 422, "invalid")
    assert_problem(admin.delete(path), 404, "not_found")
    User.objects.filter(pk=rob.user.pk).update(is_active=False)
    assert_problem(admin.post(path, {}), 409, "conflict")


def test_attempts_are_limited(admin: Caller) -> None:
    client = Client()
    answers = {client.post("/set-password", {"token": "x"}).status_code for _ in range(130)}
    assert answers == {422, 429}
