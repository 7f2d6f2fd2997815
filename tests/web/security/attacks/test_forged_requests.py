"""Cross-site request forgery: what a browser sends by itself changes nothing."""

import re
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from tests.web.security.attacks.recorder import Attack
from tests.web.security.guards import LET_IN, Door, Route, expected
from tests.web.security.matrix import from_elsewhere, send
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import let_in
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
FORGED = {"no token": "", "a made-up token": "a" * 32, "no text of a token": "<script>"}


def entitled(route: Route, world: World) -> Ticket:
    """The most powerful person with a session who may do it."""
    with_session = [ticket for ticket in world.tickets if ticket.session and not ticket.actor.viewing]
    return [ticket for ticket in with_session if expected(route, ticket.actor) == LET_IN][-1]


def tried(route: Route, world: World, client: Client, **headers: str) -> Any:
    with transaction.atomic():
        response = send(route, entitled(route, world), world, client, **headers)
        transaction.set_rollback(True)
    return response


@pytest.mark.parametrize("route", BY_SESSION, ids=str)
def test_nothing_changes_without_a_csrf_token(attack: Attack, world: World, route: Route) -> None:
    """The counterpart is the same request without the check, since a token makes no other difference."""
    client = from_elsewhere(enforce_csrf_checks=True)
    for name, token in FORGED.items():
        headers = {"X-CSRFToken": token} if token else {}
        attack.refused(tried(route, world, client, **headers).status_code == 403, name)
    response = tried(route, world, from_elsewhere())
    attack.allowed(let_in(route, response) or route.door is Door.PUBLIC, response.status_code)


def token_of(client: Client, world: World, name: str) -> str:
    """Read the token as a script of the page does."""
    page = world.ticket(name).come(client).get("/library").content.decode()
    found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    return found[1]


HOSTS = ("https://evil.example", "http://testserver.evil.example", "https://testserver", "null")


@pytest.mark.parametrize("origin", HOSTS)
def test_csrf_token_from_another_origin_changes_nothing(attack: Attack, world: World, origin: str) -> None:
    [route] = [each for each in ROUTES if str(each) == "POST /notices/read"]
    client = from_elsewhere(enforce_csrf_checks=True)
    token = token_of(client, world, "manager")
    cookie = client.cookies

    def status(**headers: str) -> int:
        client.cookies.update(cookie)
        with transaction.atomic():
            response = client.post(route.path, {}, headers={"X-CSRFToken": token, **headers})
            transaction.set_rollback(True)
        return int(response.status_code)

    attack.refused(status(Origin=origin) == 403)
    attack.allowed(status(Origin="http://testserver") < 400)


def test_csrf_token_is_bound_to_its_browser(attack: Attack, world: World) -> None:
    """The attacker's own token, in the victim's browser."""
    attacker, victim = (from_elsewhere(enforce_csrf_checks=True) for _ in range(2))
    theirs, own = token_of(attacker, world, "reader"), token_of(victim, world, "manager")
    attack.refused(victim.post("/notices/read", {}, headers={"X-CSRFToken": theirs}).status_code == 403)
    attack.allowed(victim.post("/notices/read", {}, headers={"X-CSRFToken": own}).status_code < 400)


def test_api_key_ignores_the_session(attack: Attack, world: World) -> None:
    """A key needs no token, and brings no session along that a browser would send by itself."""
    client = from_elsewhere(enforce_csrf_checks=True)
    [route] = [each for each in ROUTES if str(each) == "DELETE /api/v1/documents/{document_id}"]
    by_key = world.ticket("manager's key: manage")
    with transaction.atomic():
        attack.allowed(let_in(route, send(route, by_key, world, client)))
        transaction.set_rollback(True)
    path = f"/api/v1/documents/{world.things['document_id']}"
    session = world.ticket("manager").come(client)
    attack.refused(session.delete(path).status_code == 403)
    wrong = {"Authorization": "Bearer cairn_00000000_made-up"}
    attack.refused(session.delete(path, headers=wrong).status_code == 401, "the session does not step in")
