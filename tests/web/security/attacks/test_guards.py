"""Every operation, tried by everyone who must not use it, and by everyone who may."""

from collections.abc import Iterable

import pytest

from tests.web.security.attacks.recorder import Attack
from tests.web.security.guards import LET_IN, Door, Route, expected
from tests.web.security.matrix import answer_of, from_elsewhere
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import most_powerful, sent
from tests.web.security.world import SECRET, Ticket, World

GUARDED = [route for route in ROUTES if route.door is not Door.PUBLIC]
DECISIVE = (
    "anonymous", "without a grant", "creator", "reader", "editor", "manager", "admin",
    "admin viewing as reader", "admin's key: ask", "manager's key: admin", "admin's key for elsewhere",
)  # fmt: skip
"""With these, each wrong guard that would let somebody in is noticed."""


def try_operation(attack: Attack, world: World, route: Route, tickets: Iterable[Ticket]) -> None:
    client = from_elsewhere()
    for ticket in tickets:
        wanted, response = expected(route, ticket.actor), sent(route, world, client, ticket)
        detail = f"{ticket.actor}: expected {wanted}, got {response.status_code}"
        if wanted == LET_IN:
            attack.allowed(answer_of(route, response) == LET_IN, detail)
        else:
            attack.refused(answer_of(route, response) == wanted, detail)
            attack.refused(SECRET.encode() not in response.content, f"{ticket.actor} was told the secret")


@pytest.mark.parametrize("route", GUARDED, ids=str)
def test_operation_is_closed_to_strangers(attack: Attack, world: World, route: Route) -> None:
    """Fails within seconds for a new route with the wrong guard; the next test tries every actor."""
    try_operation(attack, world, route, [*map(world.ticket, DECISIVE), most_powerful(route, world)])


@pytest.mark.acceptance  # the test above tries those on whom it depends
@pytest.mark.parametrize("route", GUARDED, ids=str)
def test_every_operation_enforces_its_guard_for_every_visitor(
    attack: Attack, world: World, route: Route
) -> None:
    """Sessions of every role, keys with each scope, and keys that are expired, revoked or limited."""
    try_operation(attack, world, route, world.tickets)
