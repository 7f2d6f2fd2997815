"""Signing in, and pages that need it."""

from collections.abc import Callable

import pytest
from django.test import Client

from cairn.accounts.models import User
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
def test_a_page_sends_strangers_to_sign_in(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"] == f"/login?next={path}"


@pytest.mark.django_db
@pytest.mark.parametrize("path", FRAGMENTS)
def test_a_fragment_refuses_strangers(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 401
    assert "<" not in text_of(response)


@pytest.mark.django_db
@pytest.mark.parametrize("path", [f"/account/keys/{ABSENT}/revoke", "/account/keys"])
def test_a_form_refuses_strangers(client: Client, path: str) -> None:
    assert client.post(path)["Location"].startswith("/login?next=")


def sign_in(client: Client, username: str, password: str, **extra: str) -> tuple[int, str]:
    response = client.post("/login", {"username": username, "password": password, **extra})
    return response.status_code, response.get("Location", text_of(response))


def test_signing_in_leads_to_the_chat(client: Client, rob: User) -> None:
    assert sign_in(client, "rob", PASSWORD) == (302, "/")
    assert client.get("/").status_code == 200


def test_signing_in_leads_back(client: Client, rob: User) -> None:
    assert sign_in(client, "rob", PASSWORD, next="/library?x=1") == (302, "/library?x=1")


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_nowhere_else(client: Client, rob: User, target: str) -> None:
    assert sign_in(client, "rob", PASSWORD, next=target) == (302, "/")


def test_a_failed_sign_in_does_not_tell_who_exists(client: Client, make_user: Callable[..., User]) -> None:
    make_user("rob")
    make_user("gone", is_active=False)

    def shown(username: str, password: str) -> str:
        status, html = sign_in(Client(), username, password)
        assert status == 200
        without_name = html.replace(f'value="{username}"', "")
        return "\n".join(line for line in without_name.splitlines() if "csrf" not in line)

    wrong = shown("rob", "not the passphrase")
    assert "do not match" in wrong
    assert shown("nobody", "not the passphrase") == wrong
    assert shown("gone", PASSWORD) == wrong


def test_signing_out_takes_a_post(signed_in: Callable[[User], Client], rob: User) -> None:
    client = signed_in(rob)
    assert client.get("/logout").status_code == 405
    assert client.get("/").status_code == 200
    assert client.post("/logout")["Location"] == "/login"
    assert client.get("/").status_code == 302


def test_a_disabled_user_is_out_at_once(signed_in: Callable[[User], Client], rob: User) -> None:
    client = signed_in(rob)
    User.objects.filter(pk=rob.pk).update(is_active=False)
    assert client.get("/").status_code == 302


def test_a_stale_form_is_explained(rob: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(rob)
    response = client.post("/account", {"old_password": PASSWORD})
    assert response.status_code == 403
    assert "The form has expired" in text_of(response)


def test_pages_are_not_kept_by_caches(signed_in: Callable[[User], Client], rob: User) -> None:
    assert "no-store" in signed_in(rob).get("/")["Cache-Control"]
