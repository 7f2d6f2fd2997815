"""Keys with every scope that an operation does not take, on every operation there is."""

from collections.abc import Iterator

import pytest

from cairn.accounts.models import KeyScope
from tests.web.security.attacks.recorder import Attack
from tests.web.security.guards import Door, Guard, Route
from tests.web.security.matrix import from_elsewhere
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import let_in, sent
from tests.web.security.world import SECRET, World


def scopes_of(route: Route) -> tuple[str, ...]:
    return ("admin",) if route.guard is Guard.ADMIN else tuple(route.scopes)


def cases() -> Iterator[tuple[Route, str]]:
    for route in ROUTES:
        taken = scopes_of(route) if route.door in {Door.API, Door.KEY} else ()
        for scope in KeyScope.values if taken else ():
            if scope not in taken:
                yield route, scope


def key_holder(route: Route) -> str:
    """Somebody who may do it, so that only the scope decides."""
    return "admin" if route.guard in {Guard.ADMIN, Guard.CREATOR} else "manager"


@pytest.mark.parametrize(("route", "scope"), list(cases()), ids=str)
def test_a_key_without_the_scope_gets_nothing(attack: Attack, world: World, route: Route, scope: str) -> None:
    client, who = from_elsewhere(), key_holder(route)
    refused = sent(route, world, client, world.ticket(f"{who}'s key: {scope}"))
    attack.refused(refused.status_code == 403, refused.status_code)
    attack.refused(SECRET.encode() not in refused.content, refused.content)
    entitled = sent(route, world, client, world.ticket(f"{who}'s key: {scopes_of(route)[0]}"))
    attack.allowed(let_in(route, entitled), entitled.status_code)
