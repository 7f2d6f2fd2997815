"""Apps that show codes, recovery codes, and who must have one. Passkeys need a browser."""

import json
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from cairn.accounts.models import User
from cairn.audit.models import Event
from tests.conftest import PASSWORD
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
NEW_PASSWORD = "a much better secret 7"
OWN = [
    "/account/confirm",
    "/account/confirm/code",
    "/account/confirm/passkey",
    "/account/second-factor",
    "/account/second-factor/app",
    "/account/second-factor/app/remove",
    "/account/second-factor/codes",
    "/account/second-factor/codes/new",
    "/account/second-factor/passkeys/new",
    "/account/second-factor/passkeys/1/remove",
]


@pytest.fixture(autouse=True)
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No code ends between its being made and being checked."""
    now = time.time()
    monkeypatch.setattr(auth, "time", SimpleNamespace(time=lambda: now))


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(auth.yield_hotp_counters_from_time())))


def confirm(client: Client, path: str) -> Any:
    return client.post("/account/confirm", {"password": PASSWORD, "next": path})


def app_set_up(client: Client) -> tuple[str, list[str]]:
    """The app's secret, and recovery codes."""
    path = "/account/second-factor/app"
    assert client.get(path)["Location"] == f"/account/confirm?next={path.replace('/', '%2F')}"
    assert confirm(client, path)["Location"] == path
    [secret] = re.findall(r"<code>([A-Z2-7]{32})</code>", text_of(client.get(path)))
    assert client.post(path, {"code": "000000"}).status_code == 200
    response = client.post(path, {"code": code_of(secret)})
    assert response["Location"] == "/account/second-factor/codes"
    codes = re.findall(r"(?<![\w-])(\d{8})(?![\w-])", text_of(client.get(response["Location"])))
    cache.clear()  # the code was used up just now, and the next is half a minute away
    return secret, codes


def password_given(username: str = "rob", **fields: str) -> tuple[Client, Any]:
    client = Client()
    return client, client.post("/login", {"username": username, "password": PASSWORD, **fields})


def second_step(client: Client, code: str) -> Any:
    return client.post("/login/code", {"code": code})


def test_authenticator_code_is_required_at_the_next_sign_in(signed_in: SignIn, rob: User) -> None:
    secret, codes = app_set_up(signed_in(rob))
    assert len(codes) == 10
    client, response = password_given(next="/library")
    assert response["Location"] == "/login/code"
    assert client.get("/").status_code == 302
    assert client.get("/api/v1/me").status_code == 401
    assert "Two-step sign-in" in text_of(client.get("/login/code"))
    assert second_step(client, "000000").status_code == 200
    assert client.get("/").status_code == 302
    assert second_step(client, code_of(secret))["Location"] == "/library"
    assert client.get("/").status_code == 200


def change_password(rob: User, admin: Client, here: Client) -> None:
    fields = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert here.post("/account", fields).status_code == 302


def disable(rob: User, admin: Client, here: Client) -> None:
    path, body = f"/api/v1/users/{rob.id}", {"is_active": False}
    assert admin.patch(path, body, content_type="application/json").status_code == 200
    assert not User.objects.get(pk=rob.pk).is_active


def disable_elsewhere(rob: User, admin: Client, here: Client) -> None:
    User.objects.filter(pk=rob.pk).update(is_active=False)


def end_sessions(rob: User, admin: Client, here: Client) -> None:
    """As a removal of other second factors, or of the identity provider, does."""
    User.objects.filter(pk=rob.pk).update(session_generation=rob.session_generation + 1)


@pytest.mark.parametrize("change", [change_password, disable, disable_elsewhere, end_sessions])
def test_second_step_begun_before_a_change_of_the_account_signs_nobody_in(
    signed_in: SignIn, rob: User, admin: User, change: Callable[[User, Client, Client], None]
) -> None:
    here = signed_in(rob)
    secret, _ = app_set_up(here)
    (thief, _), (other_thief, _) = password_given(), password_given()
    change(rob, signed_in(admin), here)
    assert other_thief.get("/login/code")["Location"] == "/login"
    assert second_step(thief, code_of(secret))["Location"] == "/login"
    assert thief.get("/").status_code == 302
    assert thief.get("/login/code")["Location"] == "/login", "nothing is pending any more"
    User.objects.filter(pk=rob.pk).update(is_active=True)
    assert second_step(thief, code_of(secret))["Location"] == "/login"
    password = NEW_PASSWORD if change is change_password else PASSWORD
    client = Client()
    client.post("/login", {"username": "rob", "password": password})
    assert second_step(client, code_of(secret))["Location"] == "/"
    assert client.get("/").status_code == 200


def test_authenticator_code_works_once(signed_in: SignIn, rob: User) -> None:
    secret, _ = app_set_up(signed_in(rob))
    code = code_of(secret)
    client, _ = password_given()
    assert second_step(client, code).status_code == 302
    client, _ = password_given()
    assert second_step(client, code).status_code == 200
    assert client.get("/").status_code == 302


def test_recovery_codes_work_once_and_are_shown_once(signed_in: SignIn, rob: User) -> None:
    here = signed_in(rob)
    _, codes = app_set_up(here)
    again = text_of(here.get("/account/second-factor/codes"))
    assert not [code for code in codes if code in again]
    client, _ = password_given()
    assert second_step(client, codes[0]).status_code == 302
    client, _ = password_given()
    assert second_step(client, codes[0]).status_code == 200
    assert second_step(client, codes[1]).status_code == 302


def test_codes_are_not_guessed(signed_in: SignIn, rob: User) -> None:
    secret, _ = app_set_up(signed_in(rob))
    client, _ = password_given()
    statuses = [second_step(client, f"{number:06}").status_code for number in range(11)]
    assert statuses == [200] * 10 + [429]
    response = second_step(client, code_of(secret))
    assert (response.status_code, response["Retry-After"]) == (429, "300")


def test_new_recovery_codes_replace_old_ones(signed_in: SignIn, rob: User) -> None:
    here = signed_in(rob)
    _, codes = app_set_up(here)
    assert here.post("/account/second-factor/codes/new")["Location"] == "/account/second-factor/codes"
    client, _ = password_given()
    assert second_step(client, codes[0]).status_code == 200


def test_authenticator_app_is_removed_after_confirming(signed_in: SignIn, rob: User) -> None:
    app_set_up(signed_in(rob))
    client = signed_in(rob)
    path = "/account/second-factor/app/remove"
    assert client.post(path)["Location"].startswith("/account/confirm?next=")
    assert Authenticator.objects.filter(user=rob).count() == 2
    assert confirm(client, path).status_code == 302
    assert not Authenticator.objects.filter(user=rob).exists()
    assert password_given()[1]["Location"] == "/"


def test_second_factor_secrets_are_encrypted(signed_in: SignIn, rob: User, settings: Any) -> None:
    secret, codes = app_set_up(signed_in(rob))
    kept = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in kept
    assert not [code for code in codes if code in kept]
    settings.SECRET_KEY = "another one"
    client, _ = password_given()
    for code in (code_of(secret), code_of(""), codes[0]):
        assert second_step(client, code).status_code == 200


def test_second_factor_changes_are_audited(
    signed_in: SignIn, rob: User, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        app_set_up(signed_in(rob))
    client, _ = password_given()
    second_step(client, "000000")
    found = Event.objects.filter(action__startswith="second_factor.").values_list(
        "action", "actor", "subject"
    )
    assert {action for action, _, _ in found} >= {"second_factor.added", "second_factor.failed"}
    assert {(actor, subject) for _, actor, subject in found} == {(rob.id, f"user:{rob.id}")}


@pytest.mark.django_db
@pytest.mark.parametrize("path", OWN)
def test_strangers_are_sent_to_sign_in(client: Client, path: str) -> None:
    for response in (client.get(path), client.post(path)):
        assert response.status_code in {302, 405}
        assert response.status_code == 405 or response["Location"].startswith("/login?next=")


@pytest.mark.parametrize("path", OWN)
def test_second_factor_is_read_only_while_viewing_as_a_user(
    signed_in: SignIn, admin: User, rob: User, path: str
) -> None:
    client = signed_in(admin)
    client.post(f"/admin/users/{rob.id}/view-as")
    assert client.get(path).status_code == 403
    assert client.post(path).status_code in {403, 405}


def test_passkey_of_another_user_is_not_found(signed_in: SignIn, rob: User, admin: User) -> None:
    key = Authenticator.objects.create(user=admin, type="webauthn", data={"name": "of ada", "credential": {}})
    path = f"/account/second-factor/passkeys/{key.pk}/remove"
    client = signed_in(rob)
    client.post("/account/confirm", {"password": PASSWORD})
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404
    assert Authenticator.objects.filter(pk=key.pk).exists()


SENT = {"clientDataJSON": "e30", "authenticatorData": "AAAA", "signature": "AA", "userHandle": "cm9i"}
NO_PASSKEYS = [
    "",
    "null",
    "[]",
    "{}",
    "5",
    json.dumps({"id": "x"}),
    json.dumps({"id": "YQ", "rawId": "YQ", "type": "public-key", "response": 5}),
    json.dumps({"id": "YQ", "rawId": "YQ", "type": "public-key", "response": {}}),
    json.dumps({"id": "YQ", "rawId": "YQ", "type": "public-key", "response": SENT}),
    json.dumps({"id": "YQ", "rawId": "YQ", "response": {"clientDataJSON": "e30", "attestationObject": "oA"}}),
]


@pytest.mark.parametrize("credential", NO_PASSKEYS)
def test_invalid_passkey_does_not_sign_in(client: Client, rob: User, credential: str) -> None:
    client.get("/login/passkey", headers={"Accept": "application/json"})
    response = client.post("/login/passkey", {"credential": credential})
    assert response["Location"] == "/login"
    assert client.get("/").status_code == 302


@pytest.mark.parametrize("credential", NO_PASSKEYS)
def test_invalid_passkey_is_not_added(signed_in: SignIn, rob: User, credential: str) -> None:
    client = signed_in(rob)
    path = "/account/second-factor/passkeys/new"
    confirm(client, path)
    client.get(path)
    assert client.post(path, {"name": "x", "credential": credential}).status_code == 200
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize(("required", "who"), [("everyone", "rob"), ("everyone", "ada"), ("admins", "ada")])
def test_required_second_factor_blocks_other_pages(
    signed_in: SignIn, rob: User, admin: User, settings: Any, required: str, who: str
) -> None:
    client = signed_in(User.objects.get(username=who))
    settings.REQUIRE_MFA = required
    for path in ("/", "/account", "/library", "/admin/users"):
        assert client.get(path)["Location"] == "/account/second-factor"
    assert client.post("/account/keys", {"label": "x", "scopes": ["ask"]})["Location"].endswith(
        "second-factor"
    )
    assert client.get("/conversations").status_code == 403
    response = client.get("/api/v1/me")
    assert (response.status_code, response.json()["code"]) == (403, "second_factor_required")
    assert "A second factor is required" in text_of(client.get("/account/second-factor"))
    app_set_up(client)
    assert client.get("/").status_code == 200
    assert client.get("/api/v1/me").status_code == 200


def test_optional_second_factor_blocks_nothing(signed_in: SignIn, rob: User, settings: Any) -> None:
    settings.REQUIRE_MFA = "admins"
    assert signed_in(rob).get("/").status_code == 200


def test_admin_resets_a_lost_second_factor(signed_in: SignIn, rob: User, admin: User) -> None:
    here = signed_in(rob)
    app_set_up(here)
    path = f"/admin/users/{rob.id}/second-factor/reset"
    assert here.post(path).status_code == 403
    client = signed_in(admin)
    assert "Remove second factor" in text_of(client.get(f"/admin/users/{rob.id}"))
    assert client.get(path).status_code == 405
    assert client.post("/admin/users/nonsense/second-factor/reset").status_code == 404
    assert client.post(path)["Location"] == "/admin/users"
    assert here.get("/").status_code == 302
    assert password_given()[1]["Location"] == "/"
    event = Event.objects.get(action="second_factor.reset")
    assert (event.actor, event.subject) == (admin.id, f"user:{rob.id}")


def test_command_resets_a_lost_second_factor(signed_in: SignIn, rob: User) -> None:
    app_set_up(signed_in(rob))
    call_command("reset_second_factor", "Rob")
    assert password_given()[1]["Location"] == "/"


def test_password_guesses_on_the_account_page_are_limited(signed_in: SignIn, rob: User) -> None:
    client = signed_in(rob)
    fields = {"old_password": "x", "new_password1": "y", "new_password2": "y"}
    statuses = [client.post("/account", fields).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]
