"""Signing in, and pages that need it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cairn.accounts.models import User
from cairn.accounts.services import user_update
from tests.conftest import PASSWORD
from tests.web.pages.conftest import text_of

ABSENT = "00000000-0000-0000-0000-000000000000"
PAGES = [
    "/",
    f"/conversations/{ABSENT}",
    "/library",
    "/library/handbook",
    f"/library/documents/{ABSENT}",
    "/admin",
    "/admin/knowledge-bases",
    "/admin/knowledge-bases/handbook",
    "/admin/users",
    "/admin/groups",
    "/account",
]
FRAGMENTS = ["/conversations", f"/messages/{ABSENT}/rendered", "/library/handbook/documents"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
def test_page_redirects_strangers_to_sign_in(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"] == f"/login?next={path}"


@pytest.mark.django_db
@pytest.mark.parametrize("path", FRAGMENTS)
def test_fragment_rejects_strangers(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 401
    assert "<" not in text_of(response)


@pytest.mark.django_db
@pytest.mark.parametrize("path", [f"/account/keys/{ABSENT}/revoke", "/account/keys"])
def test_form_redirects_strangers_to_sign_in(client: Client, path: str) -> None:
    assert client.post(path)["Location"].startswith("/login?next=")


def sign_in(client: Client, username: str, password: str, **extra: str) -> tuple[int, str]:
    response = client.post("/login", {"username": username, "password": password, **extra})
    return response.status_code, response.get("Location", text_of(response))


def test_sign_in_redirects_to_the_chat(client: Client, rob: User) -> None:
    assert sign_in(client, "rob", PASSWORD) == (302, "/")
    assert client.get("/").status_code == 200


def test_sign_in_redirects_to_the_requested_page(client: Client, rob: User) -> None:
    assert sign_in(client, "rob", PASSWORD, next="/library?x=1") == (302, "/library?x=1")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "https://other.example/",
        "https://testserver.evil.example/",
    ],
)
def test_sign_in_does_not_redirect_to_other_sites(
    client: Client, rob: User, settings: Any, target: str
) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "other.example"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://other.example"]
    assert sign_in(client, "rob", PASSWORD, next=target) == (302, "/")


def test_failed_sign_in_does_not_reveal_existing_users(
    client: Client, make_user: Callable[..., User]
) -> None:
    make_user("rob")
    make_user("gone", is_active=False)

    def shown(username: str, password: str) -> str:
        status, html = sign_in(Client(), username, password)
        assert status == 200
        without_name = html.replace(f'value="{username}"', "")
        return "\n".join(line for line in without_name.splitlines() if "csrf" not in line)

    wrong = shown("rob", "not the passphrase")
    assert "Incorrect user name or password" in wrong
    assert shown("nobody", "not the passphrase") == wrong
    assert shown("gone", PASSWORD) == wrong


def test_repeated_failed_sign_ins_are_throttled(
    client: Client, rob: User, make_user: Callable[..., User]
) -> None:
    make_user("mia")
    statuses = [client.post("/login", {"username": "rob", "password": "x"}).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    response = client.post("/login", {"username": "ROB", "password": PASSWORD})
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert "Too many failed attempts" in text_of(response)
    assert client.get("/").status_code == 302
    assert sign_in(client, "mia", PASSWORD) == (302, "/")


def test_sign_ins_with_many_names_from_one_address_are_throttled(client: Client, rob: User) -> None:
    for number in range(20):
        client.post("/login", {"username": f"user-{number}", "password": "x"})
    assert sign_in(client, "rob", PASSWORD)[0] == 429


@pytest.mark.slow
def test_sign_ins_from_one_address_are_limited(client: Client, rob: User) -> None:
    for _ in range(120):
        Client().post("/login", {})
    response = client.post("/login", {"username": "rob", "password": PASSWORD})
    assert (response.status_code, response["Retry-After"]) == (429, "300")
    assert "Too many attempts" in text_of(response)


def test_sign_in_renews_the_session(client: Client, rob: User) -> None:
    client.get("/login")
    sign_in(client, "rob", "wrong")
    session = client.session
    session["planted"] = "yes"
    session.save()
    before = session.session_key
    sign_in(client, "rob", PASSWORD)
    assert client.session.session_key != before


def test_sign_in_form_needs_a_csrf_token(rob: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/login", {"username": "rob", "password": PASSWORD}).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/signup", "/accounts/signup/", "/login/", "/password/reset/", "/email/"])
def test_sign_up_is_disabled(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_sign_out_needs_a_post(signed_in: Callable[[User], Client], rob: User) -> None:
    client = signed_in(rob)
    assert client.get("/logout").status_code == 405
    assert client.get("/").status_code == 200
    assert client.post("/logout")["Location"] == "/login"
    assert client.get("/").status_code == 302


def test_disabled_user_is_signed_out_immediately(signed_in: Callable[[User], Client], rob: User) -> None:
    client = signed_in(rob)
    User.objects.filter(pk=rob.pk).update(is_active=False)
    assert client.get("/").status_code == 302


def test_sessions_of_a_disabled_user_stay_ended(
    signed_in: Callable[[User], Client], rob: User, admin: User
) -> None:
    client = signed_in(rob)
    user_update(rob, is_active=False)
    assert client.get("/").status_code == 302
    assert client.get("/api/v1/me").status_code == 401
    user_update(rob, is_active=True)
    assert client.get("/").status_code == 302
    fresh = Client()
    assert sign_in(fresh, "rob", PASSWORD) == (302, "/")
    user_update(rob, is_active=True)
    assert fresh.get("/").status_code == 200


def test_expired_form_is_explained(rob: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(rob)
    response = client.post("/account", {"old_password": PASSWORD})
    assert response.status_code == 403
    assert "The form has expired" in text_of(response)


def test_pages_are_not_cached(signed_in: Callable[[User], Client], rob: User) -> None:
    assert "no-store" in signed_in(rob).get("/")["Cache-Control"]
