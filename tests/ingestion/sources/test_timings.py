"""How long syncs of up to 100,000 items take, and how much memory they need."""

import resource
import sys
import time
from collections.abc import Collection, Iterator
from typing import Final

import pytest
from django.db import connection

from cairn.access.source_access import AccessEntry, SourceAccess
from cairn.library.models import Document
from ingestion.models import Job, Source, SourceItem
from ingestion.sources.protocol import Change, Complete, Item
from tests.ingestion.sources.conftest import Sync
from tests.ingestion.sources.fake_source import FakeConnection, FakeServer

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(900)]

TEAMS: Final = [SourceAccess(levels=((AccessEntry(f"team-{number}"),),)) for number in range(200)]


def item(number: int) -> Item:
    folder, name = f"folder-{number % 500}", f"file-{number}.md"
    return Item(str(number), name, f"fake://{folder}/{name}", "1", folder, size=10)


@pytest.fixture(params=[20_000, pytest.param(100_000, marks=pytest.mark.acceptance)])
def count(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def many(source: Source, server: FakeServer, monkeypatch: pytest.MonkeyPatch, count: int) -> Source:
    """A source whose items have been synced: documents, as if they had been processed."""
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL has no statistics of tables that were filled in the test’s transaction")

    def list_changes(_cursor: str) -> Iterator[Change]:
        yield from map(item, range(count))
        yield Complete()

    server.changes = list_changes

    def list_access(_self: object, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        for each in items:
            yield each.id, TEAMS[int(each.id) % len(TEAMS)]

    monkeypatch.setattr(FakeConnection, "list_access", list_access)
    for start in range(0, count, 10_000):
        numbers = range(start, start + 10_000)
        documents = Document.objects.bulk_create(
            Document(
                knowledge_base=source.knowledge_base,
                source_key=f"source:{source.id}/{number}",
                source_uri=item(number).uri,
                title=item(number).name,
                narrowed=True,
            )
            for number in numbers
        )
        SourceItem.objects.bulk_create(
            SourceItem(
                source=source,
                external_id=str(number),
                name=item(number).name,
                uri=item(number).uri,
                container=item(number).container,
                version="1",
                synced_version="1",
                synced_access_version="*",
                size=10,
                document=document,
            )
            for number, document in zip(numbers, documents, strict=True)
        )
    return source


def measured(sync: Sync, task: str) -> tuple[str, float]:
    """Return the time as text, and by how many MB the process grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.monotonic(), time.process_time()
    assert sync(task).error == ""
    text = f"{time.monotonic() - began:.1f} s ({time.process_time() - cpu:.1f} s of CPU)"
    return text, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def test_syncs_of_many_items_use_little_memory(
    many: Source, server: FakeServer, sync: Sync, count: int
) -> None:
    content, content_memory = measured(sync, "content")
    access, access_memory = measured(sync, "access")
    sys.stdout.write(
        f"\n{count:,} items: unchanged content {content}, {content_memory:.0f} MB; "
        f"access {access}, {access_memory:.0f} MB\n"
    )
    assert (server.opened, Job.objects.count()) == ([], 0)
    assert SourceItem.objects.filter(source=many).count() == count
    assert max(content_memory, access_memory) < 40
