"""Fields that an operation does not offer, on every operation that takes a JSON object."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.web.security.attacks.recorder import Attack
from tests.web.security.guards import Door, Route
from tests.web.security.matrix import from_elsewhere
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import let_in, sent
from tests.web.security.test_ids import ABSENT
from tests.web.security.world import World

ASSIGNED: dict[str, Any] = {
    "is_staff": True, "is_superuser": True, "is_admin": True, "is_active": True, "owner": ABSENT,
    "status": "ready", "role": "manager", "id": ABSENT, "user": ABSENT, "created_by": ABSENT,
    "narrowed": False, "scopes": ["admin"], "deleted_at": None, "official": True, "slug": "taken",
    "password_hash": "x", "__class__": "User", "constructor": {},
}  # fmt: skip
REAL = {
    "POST /api/v1/users": {"is_admin", "is_active"},
    "PATCH /api/v1/users/{user_id}": {"is_admin", "is_active"},
    "PATCH /api/v1/documents/{document_id}": {"owner"},
    "PATCH /api/v1/gaps/{gap_id}": {"owner"},
    "PUT /api/v1/gaps/{gap_id}/answer": {"owner"},
    "PATCH /api/v1/knowledge-bases/{knowledge_base_id}": {"owner", "official"},
    "POST /api/v1/knowledge-bases": {"slug"},
    "POST /api/v1/assistants": {"slug"},
    "POST /api/v1/models": {"owner"},
    "PATCH /api/v1/models/{name}": {"owner"},
}
"""Fields that the caller may really set there."""


def cases() -> Iterator[Route]:
    for route in ROUTES:
        if route.door is Door.API and isinstance(route.body, dict) and not route.reads:
            yield route


@pytest.mark.parametrize("route", list(cases()), ids=str)
def test_undocumented_fields_are_not_assigned(attack: Attack, world: World, route: Route) -> None:
    client = from_elsewhere()
    for name in ASSIGNED.keys() - REAL.get(str(route), set()) - route.body.keys():
        body = {**route.body, name: ASSIGNED[name]}
        response = sent(replace(route, body=body), world, client)
        attack.refused(response.status_code == 422, f"{name}: {response.status_code}")
        attack.refused([error["loc"][-1] for error in response.json()["errors"]] == [name], name)
    entitled = sent(route, world, client)
    attack.allowed(let_in(route, entitled), entitled.content)
