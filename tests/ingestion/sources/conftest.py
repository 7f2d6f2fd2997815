from collections.abc import Iterator

import pytest

from cairn.access.scope import Principal
from cairn.library.models import KnowledgeBase
from ingestion.models import Source
from ingestion.sources import kinds
from ingestion.sources.services import source_create
from tests.ingestion.sources.fake_source import KIND, PATH, SERVERS, FakeServer

OPTIONS = {"host": "files", "password": "secret"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server of the kind that only tests have."""
    monkeypatch.setitem(kinds.KINDS, KIND, PATH)
    kinds.get_kind.cache_clear()
    SERVERS["files"] = FakeServer()
    yield SERVERS["files"]
    SERVERS.clear()
    kinds.get_kind.cache_clear()


@pytest.fixture
def source(base: KnowledgeBase, admin: Principal, server: FakeServer) -> Source:
    """A source whose server says who may read what."""
    return source_create(knowledge_base=base, kind=KIND, name="Files", options=OPTIONS, principal=admin)
