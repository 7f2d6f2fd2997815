"""Authentication by API key and by session."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cairn.access.services import knowledge_base_create
from cairn.accounts.models import ApiKey, Group, User
from cairn.accounts.services import api_key_create, api_key_revoke
from cairn.errors import NotSignedIn
from cairn.library.models import Document, KnowledgeBase
from tests.bases import let_create
from tests.web.api.conftest import Caller, assert_problem, caller_for
from web.http.authentication import principal_again


@pytest.fixture
def browser(rob: Caller) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(rob.user)
    return client


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/knowledge-bases", "/api/openapi.json", "/api/docs"])
def test_every_route_needs_a_key_or_session(db: None, path: str) -> None:
    response = Client().get(path)
    assert_problem(response, 401, "not_signed_in")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", ["Bearer nonsense", "Bearer ", "Bearer", "Basic YTpi", "", "Bearer \xff\xfe", "Bearer a b c"]
)
def test_invalid_key_is_rejected_despite_a_valid_session(browser: Client, header: str) -> None:
    assert browser.get("/api/v1/me").status_code == 200
    assert_problem(browser.get("/api/v1/me", headers={"Authorization": header}), 401, "not_signed_in")


def test_authorization_scheme_is_case_insensitive(rob: Caller) -> None:
    assert Client().get("/api/v1/me", headers={"Authorization": f"bearer {rob.key}"}).status_code == 200


def test_revoked_key_is_rejected(rob: Caller) -> None:
    row = rob.user.api_keys.get()
    api_key_revoke(user=rob.user, key_id=row.id)
    assert_problem(rob.get("/me"), 401, "not_signed_in")


def test_expired_key_is_rejected(rob: Caller) -> None:
    _, key = api_key_create(user=rob.user, label="old", expires_at=timezone.now() - timedelta(seconds=1))
    assert_problem(Caller(rob.user, key).get("/me"), 401, "not_signed_in")


def test_disabled_user_is_rejected(rob: Caller, browser: Client) -> None:
    rob.user.is_active = False
    rob.user.save()
    assert_problem(rob.get("/me"), 401, "not_signed_in")
    assert_problem(browser.get("/api/v1/me"), 401, "not_signed_in")


@pytest.mark.parametrize("path", ["/api/v1/me", "/v1/models", "/api/nothing", "/scim/v2/Users", "/metrics"])
def test_invalid_key_gets_another_error_than_a_missing_one(rob: Caller, path: str) -> None:
    """The response doesn't reveal why it is invalid."""
    client = Client(REMOTE_ADDR="192.0.2.7")
    revoked, expired = (api_key_create(user=rob.user, label=each) for each in ("revoked", "expired"))
    api_key_revoke(user=rob.user, key_id=revoked[0].id)
    ApiKey.objects.filter(pk=expired[0].pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    told = set()
    for key in (revoked[1], expired[1], f"{rob.key}x", "nonsense"):
        response = client.get(path, headers={"Authorization": f"Bearer {key}"})
        told.add((response.status_code, response.content, response["WWW-Authenticate"]))
    [(status, body, challenge)] = told
    assert (status, challenge) == (401, 'Bearer error="invalid_token"')
    assert "This API key isn’t valid." in json.dumps(json.loads(body), ensure_ascii=False)
    missing = client.get(path)
    assert (missing.status_code, missing["WWW-Authenticate"]) == (401, "Bearer")
    assert "Sign in or send an API key" in missing.content.decode()


def test_malformed_authorization_header_error_shows_the_right_format(rob: Caller) -> None:
    for header in (rob.key, f"Basic {rob.key}", "Bearer", "Bearer "):
        problem = assert_problem(
            Client().get("/api/v1/me", headers={"Authorization": header}), 401, "not_signed_in"
        )
        assert problem["detail"] == "Send the API key in the header “Authorization: Bearer <key>”."


def test_me_returns_the_user_of_the_key(db: None) -> None:
    caller = caller_for("kim", scopes=["ask", "search"])
    assert caller.get("/me").json() == {
        "id": str(caller.user.id),
        "username": "kim",
        "display_name": "",
        "is_admin": False,
        "groups": [],
        "scopes": ["ask", "search"],
        "knowledge_bases": None,
        "can_create_knowledge_bases": False,
    }


def test_session_has_no_scopes(browser: Client) -> None:
    assert browser.get("/api/v1/me").json()["scopes"] is None


def test_session_needs_a_csrf_token_for_changes(rob: Caller, browser: Client, settings: Any) -> None:
    let_create(rob.user)
    body: dict[str, Any] = {"data": {"name": "Mine"}, "content_type": "application/json"}
    assert_problem(browser.post("/api/v1/knowledge-bases", **body), 403, "csrf_failed")
    token = "a" * 32
    browser.cookies[settings.CSRF_COOKIE_NAME] = token
    response = browser.post("/api/v1/knowledge-bases", headers={"X-CSRFToken": token}, **body)
    assert response.status_code == 201


def test_change_without_a_session_returns_401_and_no_csrf_error(db: None) -> None:
    response = Client(enforce_csrf_checks=True).post("/api/v1/search", {}, content_type="application/json")
    assert_problem(response, 401, "not_signed_in")


def test_api_key_needs_no_csrf_token(rob: Caller) -> None:
    let_create(rob.user)
    rob.client = Client(enforce_csrf_checks=True)
    assert rob.post("/knowledge-bases", {"name": "Mine"}).status_code == 201


def test_principal_of_a_long_request_is_refreshed(rob: Caller) -> None:
    principal = rob.principal
    assert principal_again(principal) == principal
    group = Group.objects.create(name="Staff")
    group.members.add(rob.user)
    assert principal_again(principal).groups == {group.id}
    User.objects.filter(pk=rob.user.pk).update(is_active=False)
    with pytest.raises(NotSignedIn):
        principal_again(principal)
    rob.user.delete()
    with pytest.raises(NotSignedIn):
        principal_again(principal)


ID = "00000000-0000-0000-0000-000000000001"
NEEDED = [
    ("GET", "/users", {"admin"}),
    ("GET", "/groups", {"admin"}),
    ("GET", "/knowledge-bases", {"search", "ask", "ingest", "manage"}),
    ("POST", "/knowledge-bases", {"manage"}),
    ("GET", f"/knowledge-bases/{ID}", {"search", "ask", "ingest", "manage"}),
    ("PATCH", f"/knowledge-bases/{ID}", {"manage"}),
    ("DELETE", f"/knowledge-bases/{ID}", {"manage"}),
    ("GET", f"/knowledge-bases/{ID}/grants", {"manage"}),
    ("PUT", f"/knowledge-bases/{ID}/grants", {"manage"}),
    ("POST", f"/knowledge-bases/{ID}/documents", {"ingest"}),
    ("GET", f"/knowledge-bases/{ID}/documents", {"search", "ingest", "manage"}),
    ("GET", f"/documents/{ID}", {"search", "ingest", "manage"}),
    ("PATCH", f"/documents/{ID}", {"manage"}),
    ("DELETE", f"/documents/{ID}", {"manage"}),
    ("GET", f"/documents/{ID}/content", {"search"}),
    ("GET", f"/documents/{ID}/rendition", {"search"}),
    ("GET", f"/documents/{ID}/pages/1.png", {"search"}),
    ("GET", f"/receipts/{ID}", {"manage"}),
    ("GET", "/jobs", {"ingest", "manage"}),
    ("GET", f"/jobs/{ID}/events", {"ingest", "manage"}),
    ("POST", f"/jobs/{ID}/retry", {"ingest"}),
    ("POST", f"/jobs/{ID}/cancel", {"ingest"}),
    ("POST", "/search", {"search"}),
    ("POST", "/ask", {"ask"}),
    ("GET", "/conversations", {"ask"}),
    ("GET", f"/conversations/{ID}", {"ask"}),
    ("PATCH", f"/conversations/{ID}", {"ask"}),
    ("DELETE", f"/conversations/{ID}", {"ask"}),
    ("POST", f"/messages/{ID}/feedback", {"ask"}),
    ("POST", f"/messages/{ID}/stop", {"ask"}),
]


@pytest.mark.parametrize("scope", ["search", "ask", "ingest", "manage", "admin"])
def test_key_is_limited_to_its_scope(db: None, scope: str) -> None:
    caller = caller_for("kim", is_admin=True, scopes=[scope])
    refused = {(method, path) for method, path, _ in NEEDED if caller.send(method, path).status_code == 403}
    assert refused == {(method, path) for method, path, allowed in NEEDED if scope not in allowed}


def test_admin_scope_is_not_enough_without_being_admin(db: None) -> None:
    caller = caller_for("kim", scopes=["admin"])
    assert_problem(caller.get("/users"), 403, "forbidden")


@pytest.fixture
def limited(admin: Caller, base: KnowledgeBase) -> Caller:
    """An admin's key that may do everything, in one knowledge base."""
    _, key = api_key_create(user=admin.user, label="one", knowledge_bases=[base.id])
    return Caller(admin.user, key)


def test_limited_key_sees_nothing_outside_its_knowledge_bases(
    limited: Caller, admin: Caller, base: KnowledgeBase, document: Document
) -> None:
    other = knowledge_base_create(name="Secret", principal=admin.principal)
    assert limited.get("/me").json()["knowledge_bases"] == [str(base.id)]
    assert [item["id"] for item in limited.get("/knowledge-bases").json()["items"]] == [str(base.id)]
    assert limited.get(f"/documents/{document.id}").status_code == 200
    assert_problem(limited.get(f"/knowledge-bases/{other.id}"), 404, "not_found")
    assert_problem(limited.put(f"/knowledge-bases/{other.id}/grants", []), 404, "not_found")
    assert limited.put(f"/knowledge-bases/{base.id}/grants", []).status_code == 200


def test_limited_key_cannot_administer_or_create_knowledge_bases(limited: Caller) -> None:
    assert_problem(limited.get("/users"), 403, "forbidden")
    assert_problem(limited.get("/index"), 403, "forbidden")
    assert_problem(limited.post("/knowledge-bases", {"name": "Mine"}), 403, "forbidden")


def test_limited_key_without_remaining_knowledge_bases_reads_nothing(
    limited: Caller, admin: Caller, base: KnowledgeBase
) -> None:
    knowledge_base_create(name="Another", principal=admin.principal)
    base.delete()
    assert limited.get("/knowledge-bases").json()["items"] == []


def test_limited_key_reads_no_more_than_its_user(rob: Caller, base: KnowledgeBase) -> None:
    _, key = api_key_create(user=rob.user, label="hopeful", knowledge_bases=[base.id])
    assert_problem(Caller(rob.user, key).get(f"/knowledge-bases/{base.id}"), 404, "not_found")
