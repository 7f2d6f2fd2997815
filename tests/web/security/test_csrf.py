"""What a browser sends by itself changes nothing: each route that takes a session wants a token, too."""

import pytest
from django.conf import settings as configured
from django.db import transaction
from django.test import Client

from tests.web.security.guards import LET_IN, Door, Route, expected
from tests.web.security.matrix import from_elsewhere, send
from tests.web.security.routes import ROUTES
from tests.web.security.world import Ticket, World

IDLE = {"/api/openapi.json", "/api/docs", "/api/", "/api/{rest}"}
"""They answer to any method, and do nothing."""
BY_SESSION = [
    route
    for route in ROUTES
    if route.method not in {"GET", "HEAD", "OPTIONS"}
    and route.door is not Door.KEY
    and not (route.path in IDLE or (route.door is Door.PUBLIC and route.lets_in == 404))
]
TOKEN = "a" * 32


def let_in(route: Route, world: World) -> Ticket:
    """The most powerful person with a session who may do it."""
    with_session = [ticket for ticket in world.tickets if ticket.session and not ticket.actor.viewing]
    return [ticket for ticket in with_session if expected(route, ticket.actor) == LET_IN][-1]


def status(route: Route, ticket: Ticket, world: World, client: Client, token: str) -> int:
    with transaction.atomic():
        response = send(route, ticket, world, client, **({"X-CSRFToken": token} if token else {}))
        transaction.set_rollback(True)
    return int(response.status_code)


@pytest.mark.parametrize("token", ["", TOKEN, "<script>"])
def test_nothing_is_changed_without_a_token(world: World, token: str) -> None:
    client = from_elsewhere(enforce_csrf_checks=True)
    found = {str(route): status(route, let_in(route, world), world, client, token) for route in BY_SESSION}
    assert len(found) > 50
    assert {name: code for name, code in found.items() if code != 403} == {}


def test_a_key_needs_none_and_brings_none_along(world: World) -> None:
    """It counts as the key's alone: nothing that a browser sends by itself is in it."""
    client = from_elsewhere(enforce_csrf_checks=True)
    [route] = [route for route in ROUTES if str(route) == "POST /api/v1/knowledge-bases"]
    [by_key] = [ticket for ticket in world.tickets if ticket.actor.name == "creator's key: manage"]
    assert status(route, by_key, world, client, "") == 201
    assert configured.SESSION_COOKIE_NAME not in client.cookies
