"""Administration is for administrators, and a knowledge base's for its managers."""

import logging
from collections.abc import Callable
from io import StringIO

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give, knowledge_base_create
from cairn.accounts.external_groups import groups_replace
from cairn.accounts.models import User
from cairn.accounts.services import group_create
from cairn.library.models import KnowledgeBase
from tests.bases import let_create
from tests.principals import SETUP
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]


@pytest.mark.parametrize("path", ["/admin/knowledge-bases", "/admin/users", "/admin/groups"])
def test_console_pages_need_admin_rights(signed_in: SignIn, admin: User, rob: User, path: str) -> None:
    assert signed_in(admin).get(path).status_code == 200
    response = signed_in(rob).get(path)
    assert response.status_code == 403
    assert "You don’t have access to this page" in text_of(response)


def test_forbidden_page_is_one_log_line(signed_in: SignIn, rob: User) -> None:
    (handler,) = (each for each in logging.getLogger().handlers if each.get_name() == "stderr")
    assert isinstance(handler, logging.StreamHandler)
    lines = StringIO()
    before = handler.setStream(lines)
    try:
        assert signed_in(rob).get("/admin/users").status_code == 403
    finally:
        handler.setStream(before)
    [line] = lines.getvalue().splitlines()
    assert line.endswith("Forbidden (Permission denied): /admin/users")


def test_console_is_linked_only_for_admins_and_managers(
    signed_in: SignIn, admin: User, rob: User, mia: User, base: KnowledgeBase
) -> None:
    assert "Administration" in text_of(signed_in(admin).get("/"))
    assert "Administration" in text_of(signed_in(mia).get("/"))
    assert "Administration" not in text_of(signed_in(rob).get("/"))


def test_managers_administer_their_own_knowledge_bases(
    signed_in: SignIn, mia: User, admin: User, base: KnowledgeBase
) -> None:
    knowledge_base_create(name="Secret", principal=principal_for_user(admin))
    client = signed_in(mia)
    html = text_of(client.get("/admin/knowledge-bases"))
    assert "Handbook" in html
    assert "Secret" not in html
    assert client.get("/admin/knowledge-bases/handbook").status_code == 200
    assert client.get("/admin/knowledge-bases/secret").status_code == 404
    assert client.get("/admin/users").status_code == 403


def test_editors_do_not(signed_in: SignIn, rob: User, grant: Callable[[User, Role], None]) -> None:
    grant(rob, Role.EDITOR)
    assert signed_in(rob).get("/admin/knowledge-bases/handbook").status_code == 403


def test_grants_are_listed_by_name(signed_in: SignIn, mia: User, rob: User, base: KnowledgeBase) -> None:
    team = group_create(name="Human resources", members=[rob.id])
    grant_give(knowledge_base=base, subject=f"group:{team.id}", role=Role.EDITOR, principal=SETUP)
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    html = text_of(signed_in(mia).get("/admin/knowledge-bases/handbook"))
    for subject in (f"user:{mia.id}", f"group:{team.id}", "everyone"):
        assert f'data-subject="{subject}"' in html
    assert 'Role of Human resources"' in html
    options = text_of(signed_in(mia).get("/choices/grantees?q=ro"))
    assert f'data-value="user:{rob.id}" data-label="rob"' in options


def test_knowledge_base_deletion_needs_its_typed_name(
    signed_in: SignIn, mia: User, base: KnowledgeBase
) -> None:
    html = text_of(signed_in(mia).get("/admin/knowledge-bases/handbook"))
    assert 'data-method="DELETE"' in html
    assert 'data-typed="Handbook"' in html


def test_people_and_groups_show_their_memberships(signed_in: SignIn, admin: User, rob: User) -> None:
    team = group_create(name="Engineering", members=[rob.id])
    client = signed_in(admin)
    assert f'href="/admin/users/{rob.id}"' in text_of(client.get("/admin/users"))
    page = text_of(client.get(f"/admin/users/{rob.id}"))
    assert f'name="groups" value="{team.id}" data-list' in page
    assert f'data-remove-api="/api/v1/users/{rob.id}"' in page
    assert "data-remove-api" not in text_of(client.get(f"/admin/users/{admin.id}"))
    assert f'href="/admin/groups/{team.id}"' in text_of(client.get("/admin/groups"))
    page = text_of(client.get(f"/admin/groups/{team.id}"))
    assert f'href="/admin/users/{rob.id}"' in page
    assert f'href="/admin/users/{admin.id}"' not in page


def test_directory_groups_show_their_source_and_are_read_only(
    signed_in: SignIn, admin: User, rob: User
) -> None:
    ours = group_create(name="Finance")
    groups_replace(rob, source="scim", names=["Finance"])
    theirs = rob.member_of.get()
    client = signed_in(admin)
    page = text_of(client.get(f"/admin/groups/{theirs.id}"))
    assert "Members are managed in the directory scim." in page
    assert 'name="name"' not in page
    assert "data-pick" not in page
    assert 'data-name="managers"' in page
    assert f'data-remove-api="/api/v1/groups/{theirs.id}"' in page
    assert 'name="name"' in text_of(client.get(f"/admin/groups/{ours.id}"))
    assert "Finance (scim)" in text_of(client.get("/admin/users"))
    assert "Managed in a directory: Finance (scim)" in text_of(client.get(f"/admin/users/{rob.id}"))
    offered = text_of(client.get("/choices/groups?local=yes"))
    assert f"group:{ours.id}" in offered
    assert f"group:{theirs.id}" not in offered


def test_groups_with_equal_names_are_distinguishable_in_grants(
    signed_in: SignIn, mia: User, rob: User, base: KnowledgeBase
) -> None:
    ours = group_create(name="Finance", members=[rob.id])
    groups_replace(rob, source="scim", names=["Finance"])
    theirs = rob.member_of.get(source="scim")
    for team in (ours, theirs):
        grant_give(knowledge_base=base, subject=f"group:{team.id}", role=Role.READER, principal=SETUP)
    client = signed_in(mia)
    offered = text_of(client.get("/choices/grantees"))
    assert f'data-value="group:{ours.id}" data-label="Finance" aria-disabled="true"' in offered
    assert f'data-value="group:{theirs.id}" data-label="Finance (scim)" aria-disabled="true"' in offered
    assert 'data-value="everyone" data-label="Everyone who can sign in" aria-disabled="true"' in offered
    html = text_of(client.get("/admin/knowledge-bases/handbook"))
    assert "Only administrators can give access to everyone" in html
    assert 'Role of Finance (scim)"' in html
    why = text_of(client.get("/admin/knowledge-bases/handbook/people?q=rob"))
    assert "Member of “Finance”" in why
    assert "Member of “Finance (scim)”" in why


NOT_ALLOWED = "You don’t have permission to create knowledge bases."


def test_create_button_is_only_for_permitted_users(
    signed_in: SignIn, admin: User, mia: User, rob: User, base: KnowledgeBase
) -> None:
    """Managers read whom to ask; members of a selected group find the form without managing any."""
    assert "New knowledge base" not in text_of(signed_in(mia).get("/admin/knowledge-bases"))
    assert NOT_ALLOWED in text_of(signed_in(mia).get("/admin/knowledge-bases"))
    assert "Create knowledge base" not in text_of(signed_in(rob).get("/library"))
    let_create(rob)
    for person in (admin, rob):
        console = text_of(signed_in(person).get("/admin/knowledge-bases"))
        assert "New knowledge base" in console
        assert NOT_ALLOWED not in console
        assert "New knowledge base" in text_of(signed_in(person).get("/library"))
    assert "Create knowledge base" in text_of(signed_in(rob).get("/library"))
    assert "Create your first knowledge base" in text_of(signed_in(rob).get("/"))


def test_permission_to_create_is_set_for_every_group(signed_in: SignIn, admin: User, rob: User) -> None:
    let_create(rob)
    groups_replace(rob, source="scim", names=["Finance"])
    client = signed_in(admin)
    assert text_of(client.get("/admin/groups")).count('tag-plain">can create knowledge bases') == 1
    for group in rob.member_of.all():
        html = text_of(client.get(f"/admin/groups/{group.id}"))
        checked = 'name="can_create_knowledge_bases" data-bool checked' in html
        assert checked == group.can_create_knowledge_bases


def test_group_managers_grant_to_their_group_and_admins_to_everyone(
    signed_in: SignIn, mia: User, admin: User, base: KnowledgeBase
) -> None:
    group = group_create(name="Finance", managers=[mia.id])
    page = "/admin/knowledge-bases/handbook"
    offered = text_of(signed_in(mia).get("/choices/grantees"))
    assert f'data-value="group:{group.id}" data-label="Finance">' in offered
    assert offered.count("aria-disabled") == 1  # everyone
    assert "aria-disabled" not in text_of(signed_in(admin).get("/choices/grantees"))
    assert "Only administrators can give access to everyone" in text_of(signed_in(mia).get(page))
    assert "Only administrators can give access to everyone" not in text_of(signed_in(admin).get(page))


def test_roles_beyond_ones_rights_are_not_selectable(
    signed_in: SignIn, mia: User, admin: User, base: KnowledgeBase
) -> None:
    grant_give(knowledge_base=base, subject="everyone", role=Role.EDITOR, principal=SETUP)
    page = "/admin/knowledge-bases/handbook"
    assert '<option value="manager"  disabled>' in text_of(signed_in(mia).get(page))
    assert '<option value="reader"  disabled>' not in text_of(signed_in(mia).get(page))
    assert '<option value="manager"  disabled>' not in text_of(signed_in(admin).get(page))


def test_admins_approve_a_knowledge_base_and_managers_see_whom_to_ask(
    signed_in: SignIn, mia: User, admin: User, base: KnowledgeBase
) -> None:
    KnowledgeBase.objects.update(official=False)
    page = "/admin/knowledge-bases/handbook"
    assert 'name="official"' in text_of(signed_in(admin).get(page))
    html = text_of(signed_in(mia).get(page))
    assert 'name="official"' not in html
    assert "An administrator can make this knowledge base official." in html
    assert "readonly" not in html
    KnowledgeBase.objects.update(official=True)
    html = text_of(signed_in(mia).get(page))
    assert "This knowledge base is official." in html
    assert "readonly" in html


def test_admins_see_which_unofficial_knowledge_bases_everyone_can_read(
    signed_in: SignIn, mia: User, admin: User, base: KnowledgeBase
) -> None:
    KnowledgeBase.objects.update(official=False)
    shared = "Unofficial, shared with everyone"
    assert shared not in text_of(signed_in(admin).get("/admin/knowledge-bases"))
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    assert shared in text_of(signed_in(admin).get("/admin/knowledge-bases"))
    assert shared not in text_of(signed_in(mia).get("/admin/knowledge-bases"))
    KnowledgeBase.objects.update(official=True)
    assert "Unofficial" not in text_of(signed_in(admin).get("/admin/knowledge-bases"))
