import time
from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give
from cairn.accounts.services import user_create
from cairn.library.models import KnowledgeBase
from ingestion.models import Source, SourceSchedule
from ingestion.sources import kinds
from ingestion.sources.services import source_create
from ingestion.sources.sync.run import run_source_task
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


Sync = Callable[..., SourceSchedule]


@pytest.fixture
def sync(source: Source) -> Sync:
    """Run a task of the source now, and return its schedule as the run left it."""

    def run(task: str = "content", *, clock: Callable[[], float] = time.monotonic) -> SourceSchedule:
        row = SourceSchedule.objects.get(source=source, task=task)
        SourceSchedule.objects.filter(pk=row.pk).update(requested_at=timezone.now(), not_before=None)
        assert run_source_task(row.pk, clock=clock)
        row.refresh_from_db()
        return row

    return run


@pytest.fixture
def person(base: KnowledgeBase, admin: Principal) -> Principal:
    """Somebody who may use the knowledge base, and is “ann” in the source."""
    user = user_create(username="ann", email="ann@example.org")
    grant_give(knowledge_base=base, subject=f"user:{user.id}", role=Role.READER, principal=admin)
    return principal_for_user(user)
