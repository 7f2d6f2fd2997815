"""Every route of the URLconf is in the list, and the list is worth something."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as configured

from tests.web.security.guards import Door, Guard, Route
from tests.web.security.matrix import TABLE, faults_of_answers, faults_of_list
from tests.web.security.routes import ROUTES
from tests.web.security.world import World

PLANTED = "tests.web.security.planted"
FORGOTTEN = [
    Route("GET", "/planted/api/documents", Door.API, Guard.SIGNED_IN),
    Route("GET", "/planted/page", Door.PAGE, Guard.ADMIN),
    Route("GET", "/planted/anything/{number}", Door.FRAGMENT, Guard.SIGNED_IN),
    Route("POST", "/planted/anything/{number}", Door.FRAGMENT, Guard.SIGNED_IN),
]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of refusals are no news."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def test_every_route_is_listed() -> None:
    """The responses to each actor are tested in `attacks/test_guards.py`, from the same list."""
    unlisted = faults_of_list(configured.ROOT_URLCONF, ROUTES)
    assert not unlisted, "\n".join(unlisted)


def test_unlisted_route_is_reported_with_instructions() -> None:
    faults = faults_of_list(PLANTED, ROUTES)
    told = {fault.partition(f" is not listed: add a line to {TABLE}: ")[0] for fault in faults}
    assert told == {str(route) for route in FORGOTTEN}
    assert faults_of_list(PLANTED, [*ROUTES, *FORGOTTEN]) == []


def test_stale_and_duplicate_routes_are_reported() -> None:
    gone = Route("GET", "/no/such/route", Door.PAGE, Guard.ADMIN)
    faults = faults_of_list(configured.ROOT_URLCONF, [*ROUTES, gone, ROUTES[0]])
    assert [fault.partition(" is ")[0] for fault in faults] == ["GET /no/such/route", "GET /healthz"]


@pytest.mark.parametrize("route", FORGOTTEN, ids=str)
def test_unguarded_route_is_reported(world: World, settings: Any, route: Route) -> None:
    settings.ROOT_URLCONF = PLANTED
    world.things["number"] = "1"
    faults = list(faults_of_answers([route], world))
    assert f"{route} as anonymous: expected" in faults[0]
    assert {"revoked key", "disabled"} <= {fault.partition(" as ")[2].partition(":")[0] for fault in faults}
