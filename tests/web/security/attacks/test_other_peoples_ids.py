"""Ids of things that belong to others, on every operation and for everyone who must not reach them."""

import re
from collections.abc import Iterator

import pytest

from cairn.access.models import Role
from cairn.accounts.models import KeyScope
from tests.web.security.attacks.recorder import Attack
from tests.web.security.guards import Actor, Route, expected
from tests.web.security.matrix import from_elsewhere
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import let_in, sent
from tests.web.security.test_ids import ABSENT, OBJECTS, visible_response
from tests.web.security.world import SECRET, World

CALLERS = (
    Actor("without a grant"),
    Actor("reader of another"),
    Actor("reader", role=Role.READER),
    Actor("editor", role=Role.EDITOR),
    Actor(
        "admin's key for elsewhere",
        role=Role.MANAGER,
        is_admin=True,
        key=True,
        scopes=frozenset(KeyScope.values),
        limited=True,
    ),
    Actor("admin viewing as reader", role=Role.READER, viewing=True),
)


def cases() -> Iterator[tuple[Route, str, Actor]]:
    """Every operation that names a thing, with those callers for whom the thing must not exist."""
    for route in ROUTES:
        for name in re.findall(r"{(\w+)}", f"{route.path} {route.query}"):
            for caller in CALLERS:
                if name in OBJECTS and expected(route, caller) == 404:
                    yield route, name, caller


@pytest.mark.parametrize(("route", "name", "caller"), list(cases()), ids=str)
def test_foreign_objects_look_like_missing_ones(
    attack: Attack, world: World, route: Route, name: str, caller: Actor
) -> None:
    client = from_elsewhere()
    ticket = world.ticket(caller.name)
    assert ticket.actor == caller
    there = sent(route, world, client, ticket)
    gone = sent(route, World({**world.things, name: ABSENT}, world.tickets), client, ticket)
    attack.refused(there.status_code == 404, there.content)
    attack.refused(
        visible_response(there, world.things[name]) == visible_response(gone, ABSENT),
        (there.content, gone.content),
    )
    attack.refused(SECRET.encode() not in there.content)
    entitled = sent(route, world, client)
    attack.allowed(let_in(route, entitled), entitled.status_code)
