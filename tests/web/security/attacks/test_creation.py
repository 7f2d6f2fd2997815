"""Creating knowledge bases without permission, and having a command change those of others."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from cairn.accounts.external_groups import groups_replace
from cairn.accounts.models import Group, KeyScope, User
from cairn.accounts.services import api_key_create, group_create, group_update
from cairn.audit.models import Event
from cairn.library.models import KnowledgeBase
from tests.bases import let_create
from tests.web.api.conftest import Caller, Response, caller_for
from tests.web.security.attacks.recorder import Attack
from tests.web.security.guards import Actor, Door, Guard, Route
from tests.web.security.matrix import from_elsewhere, send
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import let_in, sent
from tests.web.security.world import Ticket, World

NEW = {"name": "Payroll 2027"}
CHANGING = [route for route in ROUTES if route.changes and route.door is not Door.PUBLIC]
CREATION = next(route for route in ROUTES if str(route) == "POST /api/v1/knowledge-bases")
WRITING = [
    route
    for route in ROUTES
    if route.door is Door.API
    and route.changes
    and route.guard in {Guard.EDITOR, Guard.MANAGER}
    and "{knowledge_base_id}" in route.path
]


def creates(caller: Caller) -> Response:
    return caller.post("/knowledge-bases", NEW)


def with_key(user: User, **limits: Any) -> Caller:
    return Caller(user, api_key_create(user=user, label="test", **limits)[1])


def ordinary(rob: Caller) -> Caller:
    return rob


def member_of_another_group(rob: Caller) -> Caller:
    group_create(name="Staff", members=[rob.user.id])
    return rob


def member_of_a_group_of_the_same_name(rob: Caller) -> Caller:
    """A directory names its groups as it likes."""
    groups_replace(rob.user, source="oidc:okta", names=["Creators"])
    return rob


def former_member(rob: Caller) -> Caller:
    group_update(let_create(rob.user, name="Former"), members=())
    return rob


def member_of_a_group_that_lost_it(rob: Caller) -> Caller:
    group_update(let_create(rob.user, name="Lost"), can_create_knowledge_bases=False)
    return rob


def manager_of_the_group(rob: Caller) -> Caller:
    Group.objects.get(name="Creators").managers.add(rob.user)
    return rob


def disabled_creator(rob: Caller) -> Caller:
    let_create(rob.user, name="Disabled")
    User.objects.filter(pk=rob.user.pk).update(is_active=False)
    return rob


def limited_key(rob: Caller) -> Caller:
    let_create(rob.user, name="Limited")
    return with_key(rob.user, knowledge_bases=[])


def limited_key_of_an_admin(_rob: Caller) -> Caller:
    return with_key(caller_for("ada", is_admin=True).user, knowledge_bases=[])


def key_for(*scopes: str, is_admin: bool) -> Callable[[Caller], Caller]:
    def made(rob: Caller) -> Caller:
        User.objects.filter(pk=rob.user.pk).update(is_admin=is_admin)
        let_create(rob.user, name="By key")
        return with_key(rob.user, scopes=scopes)

    made.__name__ = f"{'admin' if is_admin else 'creator'}_key_{'_'.join(scopes)}"
    return made


OTHER_SCOPES = [scope for scope in KeyScope.values if scope != KeyScope.MANAGE]
WITHOUT = [
    ordinary,
    member_of_another_group,
    member_of_a_group_of_the_same_name,
    former_member,
    member_of_a_group_that_lost_it,
    manager_of_the_group,
    disabled_creator,
    limited_key,
    limited_key_of_an_admin,
    *(key_for(scope, is_admin=admin) for scope in OTHER_SCOPES for admin in (False, True)),
    key_for(*OTHER_SCOPES, is_admin=True),
]


@pytest.mark.parametrize("become", WITHOUT, ids=lambda become: become.__name__)
def test_creating_a_knowledge_base_needs_the_permission(
    attack: Attack, mia: Caller, rob: Caller, become: Callable[[Caller], Caller]
) -> None:
    let_create(mia.user)
    answer = creates(become(rob))
    attack.refused(answer.status_code in {401, 403}, answer.content)
    attack.refused(not KnowledgeBase.objects.exists())
    attack.allowed(creates(mia).status_code == 201)


@pytest.mark.parametrize("is_admin", [True, False], ids=["admin", "creator"])
def test_admin_viewing_as_a_user_cannot_create_knowledge_bases(
    attack: Attack, world: World, is_admin: bool
) -> None:
    client = from_elsewhere()
    viewing = sent(CREATION, world, client, world.ticket("admin viewing as reader"))
    attack.refused(viewing.status_code == 403, viewing.content)
    entitled = sent(CREATION, world, client, world.ticket("admin" if is_admin else "creator"))
    attack.allowed(entitled.status_code == 201, entitled.content)


@pytest.mark.parametrize("route", CHANGING, ids=str)
def test_no_operation_creates_a_knowledge_base_for_ordinary_users(
    attack: Attack, world: World, route: Route
) -> None:
    """Whatever the interface: REST, pages, OpenAI, MCP, Dify or SCIM."""
    client, before = from_elsewhere(), KnowledgeBase.objects.count()
    for name in ("manager", "manager's key: manage"):
        with transaction.atomic():
            send(route, world.ticket(name), world, client)
            attack.refused(KnowledgeBase.objects.count() <= before, name)
            transaction.set_rollback(True)
    attack.allowed(sent(CREATION, world, client, world.ticket("creator")).status_code == 201)


@pytest.mark.parametrize("who", ["ordinary", "creator", "group manager", "limited admin key", "manage key"])
@pytest.mark.parametrize("change", ["PATCH", "POST"])
def test_only_admins_grant_the_creation_permission(
    attack: Attack, admin: Caller, rob: Caller, who: str, change: str
) -> None:
    group = (
        let_create(rob.user, name="Makers")
        if who == "creator"
        else group_create(name="Staff", members=[rob.user.id])
    )
    if who == "group manager":
        group_update(group, managers=[rob.user.id])
    callers = {
        "limited admin key": lambda: with_key(admin.user, knowledge_bases=[]),
        "manage key": lambda: with_key(admin.user, scopes=["manage"]),
    }
    caller = callers.get(who, lambda: rob)()
    path = f"/groups/{group.id}" if change == "PATCH" else "/groups"
    body: dict[str, Any] = {"can_create_knowledge_bases": True}
    if change == "POST":
        body |= {"name": "Mine", "members": [str(rob.user.id)]}
    answer = caller.send(change, path, body)
    attack.refused(answer.status_code == 403, answer.content)
    done = admin.send(change, path, body)
    attack.allowed(done.status_code < 300 and done.json()["can_create_knowledge_bases"], done.content)
    event = Event.objects.filter(action__startswith="group.", actor=admin.user.id).latest("id")
    attack.allowed(event.detail["can_create_knowledge_bases"] is True, event.detail)


@pytest.mark.parametrize("route", WRITING, ids=str)
def test_command_key_changes_only_official_knowledge_bases(
    attack: Attack, world: World, route: Route
) -> None:
    """The server refuses it, so that it does not matter what the command checks itself."""
    client, user = from_elsewhere(), User.objects.get(username="admin")
    ticket = Ticket(
        Actor("command", key=True, is_admin=True),
        key=api_key_create(user=user, label="command line", for_command=True)[1],
    )
    bases = KnowledgeBase.objects.filter(pk=world.things["knowledge_base_id"])
    bases.update(official=False)
    refused = sent(route, world, client, ticket)
    attack.refused(refused.status_code == 403, refused.content)
    attack.refused(refused.json()["code"] == "not_official", refused.content)
    attack.refused("its owner is manager" in refused.json()["detail"], refused.content)
    attack.allowed(let_in(route, sent(route, world, client, world.ticket("admin"))))
    bases.update(official=True)
    done = sent(route, world, client, ticket)
    attack.allowed(let_in(route, done), done.content)
