"""Requests that name code to import as an embedding model: only the operator's settings may."""

from dataclasses import replace

import pytest

from tests.web.security.attacks.recorder import Attack
from tests.web.security.matrix import from_elsewhere
from tests.web.security.routes import ROUTES
from tests.web.security.test_attacks import let_in, sent
from tests.web.security.world import World

ROUTE = next(route for route in ROUTES if str(route) == "POST /api/v1/index/generations")


@pytest.mark.parametrize("name", ["subprocess.Popen", "uuid.uuid4", "os.path.join"])
def test_request_cannot_name_a_class(attack: Attack, world: World, name: str) -> None:
    client = from_elsewhere()
    response = sent(replace(ROUTE, body={"embedding_model": name}), world, client)
    attack.refused(response.status_code == 422, response.content)
    attack.refused("Only EMBEDDING_MODEL can name a class" in response.json()["detail"], response.content)
    entitled = sent(ROUTE, world, client)
    attack.allowed(let_in(ROUTE, entitled), entitled.content)
