import pytest

from retrieval.engine import Engine
from tests.web.api.conftest import admin, base, document, files_in_memory, index, mia, parts, rob
from tests.web.security.world import World, world_made

__all__ = ["admin", "base", "document", "files_in_memory", "index", "mia", "parts", "rob"]


@pytest.fixture
def world(parts: Engine) -> World:
    return world_made(parts)
