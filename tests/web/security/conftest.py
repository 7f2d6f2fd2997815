from typing import Any

import pytest

from retrieval.engine import Engine
from tests.web.api.conftest import admin, base, document, files_in_memory, index, mia, parts, rob
from tests.web.security.world import World, world_made

__all__ = ["admin", "base", "document", "files_in_memory", "index", "mia", "parts", "rob"]


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Hashing that is slow on purpose would be most of what these tests do."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def world(parts: Engine) -> World:
    return world_made(parts)
