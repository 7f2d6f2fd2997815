"""Sync a source of a fake server in a process of its own, which a failpoint may kill.

Arguments: what to do (`setup`, `sync` or `state`), and the edition of the files on the server.
"""

import json
import sys
from typing import Any, Final

import django

django.setup()

from cairn.access.models import SyncedAccess  # noqa: E402 - Django comes first
from cairn.access.principals import principal_for_user  # noqa: E402
from cairn.access.services import knowledge_base_create  # noqa: E402
from cairn.access.source_access import EVERYONE, AccessEntry, SourceAccess  # noqa: E402
from cairn.accounts.services import user_create  # noqa: E402
from cairn.library.models import Document, DocumentVersion  # noqa: E402
from ingestion.models import Source, SourceItem, SourceSchedule  # noqa: E402
from ingestion.sources import kinds  # noqa: E402
from ingestion.sources.services import source_create  # noqa: E402
from ingestion.sources.sync import fetching, listing  # noqa: E402
from ingestion.sources.sync.run import run_source_task  # noqa: E402
from tests.ingestion.sources.fake_source import KIND, PATH, SERVERS, FakeServer  # noqa: E402

OPEN: Final = SourceAccess(levels=((AccessEntry(EVERYONE),),))


def serve(edition: int) -> None:
    """Serve the files. In the second edition one is changed, one gone, one renamed and one new."""
    server = SERVERS["files"] = FakeServer()
    for name in ("a.md", "b.md", "c.md", "d.md"):
        server.put(name, access=OPEN)
    if edition == 2:
        server.put("a.md", "changed")
        del server.files["b.md"]
        server.rename("c.md", "moved/final.md")
        server.put("e.md", access=SourceAccess())


def set_up() -> None:
    admin = principal_for_user(user_create(username="root", is_admin=True))
    base = knowledge_base_create(name="Handbook", principal=admin)
    options = {"host": "files", "password": "secret"}
    source_create(knowledge_base=base, kind=KIND, name="Files", options=options, principal=admin)


def sync() -> None:
    """Run the content task, as if the lease of a killed worker had just lapsed."""
    schedule = SourceSchedule.objects.get(task="content")
    SourceSchedule.objects.update(lease=None, lease_until=None, finished_at=None, not_before=None, failures=0)
    assert run_source_task(schedule.pk)


def state() -> dict[str, Any]:
    access = {row.document_id: row.access_list_id is not None for row in SyncedAccess.objects.all()}
    return {
        "documents": {
            row.source_uri: [row.title, row.versions.count(), row.narrowed, access.get(row.pk)]
            for row in Document.objects.present()
        },
        "deleted": Document.objects.exclude(deleted_at=None).count(),
        "versions": DocumentVersion.objects.count(),
        "items": {
            row.external_id: [row.uri, row.version == row.synced_version, row.error, row.excluded]
            for row in SourceItem.objects.all()
        },
        "cursor": Source.objects.get().cursor,
        "error": SourceSchedule.objects.get(task="content").error,
    }


if __name__ == "__main__":
    kinds.KINDS[KIND] = PATH
    listing.BATCH_SIZE = fetching.PAGE = 1
    serve(int(sys.argv[2]))
    {"setup": set_up, "sync": sync, "state": lambda: None}[sys.argv[1]]()
    sys.stdout.write(json.dumps(state(), sort_keys=True))
