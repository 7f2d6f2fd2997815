"""Every operation, tried by everyone who must not use it, and by everyone who may."""

import pytest

from tests.web.security.attacks.recorder import Attack
from tests.web.security.guards import LET_IN, Door, Route, expected
from tests.web.security.matrix import answer_of, from_elsewhere
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import sent
from tests.web.security.world import SECRET, World

GUARDED = [route for route in ROUTES if route.door is not Door.PUBLIC]


@pytest.mark.parametrize("route", GUARDED, ids=str)
def test_an_operation_answers_everyone_as_it_should(attack: Attack, world: World, route: Route) -> None:
    client = from_elsewhere()
    for ticket in world.tickets:
        wanted, response = expected(route, ticket.actor), sent(route, world, client, ticket)
        detail = f"{ticket.actor}: expected {wanted}, got {response.status_code}"
        if wanted == LET_IN:
            attack.allowed(answer_of(route, response) == LET_IN, detail)
        else:
            attack.refused(answer_of(route, response) == wanted, detail)
            attack.refused(SECRET.encode() not in response.content, f"{ticket.actor} was told the secret")
