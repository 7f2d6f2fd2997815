from collections.abc import Iterator

import pytest

from ingestion.sources.kinds import get_kind
from retrieval.engine import Engine
from tests.sources_kind import add_shelf
from tests.web.api.conftest import admin, base, document, files_in_memory, index, mia, parts, rob
from tests.web.security.world import World, world_made

__all__ = ["admin", "base", "document", "files_in_memory", "index", "mia", "parts", "rob"]


@pytest.fixture(autouse=True, scope="module")
def shelf() -> Iterator[None]:
    """The only kind of source, so that what is recorded depends on no other."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        add_shelf(monkeypatch, alone=True)
        yield
    get_kind.cache_clear()


@pytest.fixture
def world(parts: Engine) -> World:
    return world_made(parts)
