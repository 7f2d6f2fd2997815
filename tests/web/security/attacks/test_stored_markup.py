"""Stored cross-site scripting: markup in every text that people, files and models write, on every page."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.db import models

from tests.web.security.attacks.recorder import Attack
from tests.web.security.guards import LET_IN, Door, Route, expected
from tests.web.security.matrix import from_elsewhere
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import let_in, sent
from tests.web.security.world import Ticket, World

MARKUP = "<script>alert('zebrafish')</script><img src=x onerror=alert(1)>\"'><svg/onload=alert(2)>"
LIVE = re.compile(rb"<script>alert|<img src=x|<svg/onload|\"'><svg", re.IGNORECASE)
TEXTS: dict[str, tuple[str, ...]] = {
    "library.KnowledgeBase": ("name", "description"),
    "library.Document": ("title", "source_uri"),
    "library.Chunk": ("text", "context"),
    "accounts.Group": ("name",),
    "accounts.ApiKey": ("label",),
    "ingestion.Import": ("label",),
    "retrieval.Conversation": ("title",),
    "retrieval.Message": ("question", "answer"),
    "retrieval.Citation": ("title", "quote"),
}
"""By models and fields. Names of people are checked when they are made."""
PAGES = [
    route
    for route in ROUTES
    if route.method == "GET" and route.door in (Door.PAGE, Door.FRAGMENT) and route.lets_in is None
]


@pytest.fixture
def hostile(world: World) -> World:
    """Straight into the database, past whatever the forms refuse."""
    for label, fields in TEXTS.items():
        model: type[models.Model] = apps.get_model(label)
        for number, row in enumerate(model._default_manager.all()):
            for field in fields:
                limit = model._meta.get_field(field).max_length or 1000
                setattr(row, field, f"{number} {MARKUP}"[:limit])
            row.save(update_fields=fields)
    return world


def visitor(route: Route, world: World) -> Ticket:
    """The manager, who owns what can be owned, or else the admin."""
    people = [world.ticket("manager"), world.ticket("admin")]
    return next(each for each in people if expected(route, each.actor) == LET_IN)


@pytest.mark.parametrize("route", PAGES, ids=str)
def test_stored_markup_is_escaped(attack: Attack, hostile: World, route: Route) -> None:
    response: Any = sent(route, hostile, from_elsewhere(), visitor(route, hostile))
    attack.allowed(let_in(route, response), response.status_code)
    if not response.streaming:
        found = LIVE.search(response.content)
        attack.refused(found is None, found and response.content[found.start() - 80 : found.end() + 40])


@pytest.mark.slow
def test_markup_is_really_on_the_pages(attack: Attack, hostile: World) -> None:
    """Else the checks above would show nothing: as text, it is on many of them."""
    shown = 0
    for route in PAGES:
        response = sent(route, hostile, from_elsewhere(), visitor(route, hostile))
        shown += not response.streaming and b"&lt;script&gt;alert" in response.content
        attack.refused(response.streaming or LIVE.search(response.content) is None, str(route))
    attack.allowed(shown >= 10, shown)
