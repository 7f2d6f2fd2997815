"""During an access check, admins' lists and searches omit the objects it created."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cairn.access.models import AccessCheck, CheckArtifact, Role
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give
from cairn.accounts.models import Group, User
from cairn.accounts.services import api_key_create
from cairn.audit.services import mark_events_of_check, record
from cairn.library.models import KnowledgeBase
from tests.bases import make_base
from tests.web.api.conftest import Caller
from web.access_checks.artifacts import create_group, create_knowledge_base, create_user

pytestmark = pytest.mark.django_db
NAME = "access-check-0123abcd"
PAGES = (
    "/",
    "/library",
    "/palette?q=access",
    "/mentions?q=access",
    "/admin",
    "/admin/knowledge-bases",
    "/admin/users",
    "/admin/users?q=insider",
    "/admin/groups",
    "/admin/keys",
    "/admin/gaps",
    "/admin/sources/new",
    "/admin/evaluation",
    "/admin/playground",
    "/admin/limits",
    "/admin/knowledge-bases/team/people",
    "/choices/grantees?q=access",
    "/choices/readers?q=access",
    "/choices/limits?q=access",
    "/choices/users?q=access",
    "/choices/owners?q=access",
    "/choices/groups?q=access",
    "/choices/knowledge-bases?q=access",
)
LISTS = (
    "/knowledge-bases",
    "/users",
    "/users?q=access",
    "/groups",
    "/share-subjects?q=access",
    "/knowledge-bases/team/people",
)


@pytest.fixture
def insider(admin: Caller) -> User:
    """The person of a check that is running, with a knowledge base, a group and a key."""
    check = AccessCheck.objects.create()
    user = create_user(check, f"{NAME}-insider")
    create_group(check, f"{NAME} members", user)
    create_knowledge_base(check, f"{NAME} shared", replace(principal_for_user(user), is_admin=True))
    api_key_create(user=user, label=NAME, expires_at=timezone.now() + timedelta(minutes=5))
    team = make_base(name="Access team", slug="team", principal=admin.principal)
    grant_give(knowledge_base=team, subject="everyone", role=Role.READER, principal=admin.principal)
    return user


def forget_artifacts() -> None:
    """Then they are objects like any other, whatever their names are."""
    CheckArtifact.objects.all().delete()


def shown_on_pages(client: Client) -> set[str]:
    bodies = {path: client.get(path) for path in PAGES}
    assert {path: each.status_code for path, each in bodies.items() if each.status_code != 200} == {}
    return {path for path, each in bodies.items() if NAME in each.content.decode()}


def listed(admin: Caller) -> set[str]:
    answers = {path: admin.get(path) for path in LISTS}
    assert {path: each.status_code for path, each in answers.items() if each.status_code != 200} == {}
    return {path for path, each in answers.items() if NAME in each.content.decode()}


def test_pages_and_pickers_hide_objects_of_a_check(admin: Caller, insider: User) -> None:
    browser = Client()
    browser.force_login(admin.user)
    assert shown_on_pages(browser) == set()
    forget_artifacts()
    assert len(shown_on_pages(browser)) > len(PAGES) / 2


def test_api_lists_hide_objects_of_a_check(admin: Caller, insider: User) -> None:
    assert listed(admin) == set()
    base = KnowledgeBase.objects.get(name=f"{NAME} shared")
    assert admin.get(f"/knowledge-bases/{base.id}").status_code == 404
    forget_artifacts()
    assert listed(admin) == set(LISTS)
    assert admin.get(f"/knowledge-bases/{base.id}").status_code == 200


def test_object_with_the_name_of_a_check_is_shown(admin: Caller) -> None:
    make_base(name=f"{NAME} shared", principal=admin.principal)
    Group.objects.create(name=f"{NAME} members")
    assert {"/knowledge-bases", "/groups"} <= {
        path for path in LISTS if "people" not in path and NAME in admin.get(path).content.decode()
    }


def test_check_users_find_their_own_knowledge_base(admin: Caller, insider: User) -> None:
    _, key = api_key_create(user=insider, label=NAME, expires_at=timezone.now() + timedelta(minutes=5))
    names = [item["name"] for item in Caller(insider, key).get("/knowledge-bases").json()["items"]]
    assert f"{NAME} shared" in names


def test_audit_page_hides_events_of_a_check_until_requested(admin: Caller) -> None:
    check = AccessCheck.objects.create()
    with mark_events_of_check(check.id):
        record("question.asked", actor=None, subject="message:of-a-check")
    record("question.asked", actor=None, subject="message:of-a-person")
    browser = Client()
    browser.force_login(admin.user)
    page = browser.get("/admin/audit").content.decode()
    assert "message:of-a-person" in page
    assert "message:of-a-check" not in page
    assert "message:of-a-check" in browser.get("/admin/audit?checks=1").content.decode()
    events = admin.get("/audit?action=question.asked").json()["items"]
    assert [event["detail"] for event in events] == [{}, {"access_check": str(check.id)}]
