"""Checks of the database, the index, the disk, files and backups."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from cairn.audit.models import Event
from cairn.inference.registry import embedder_health
from cairn.library.models import Document, DocumentVersion
from cairn.library.storage import check_file_storage
from cairn.settings import environment
from ingestion.models import Job, Receipt, ReceiptState
from retrieval.index.backends import index_backend
from retrieval.index.generations import choice_in_use, find_active_index
from web.health.results import HealthResult, format_age, ok, problem, warning
from web.i18n.localize import number, size

ROOM_NEEDED: Final = 1 << 30
LITTLE_SHARE: Final = 0.1
GROWTH_DAYS: Final = 30
BACKUP_DAYS: Final = 7


def count_pending_migrations() -> int:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def check_database() -> HealthResult:
    if pending := count_pending_migrations():
        return problem(
            _("The tables are out of date: %(n)s migrations are missing.") % {"n": pending},
            _("Update them:"),
            command="manage.py migrate",
        )
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connections[DEFAULT_DB_ALIAS].vendor]
    return ok(_("%(name)s responds. It also stores the cache.") % {"name": name})


def check_index() -> HealthResult:
    """Check that the index responds and has all passages. Raises what the index raises.

    It isn't opened before the embedding model is loaded, which would take too long here.
    """
    index_backend().check()
    expected = _count_passages()
    if not embedder_health(choice_in_use()).ok:
        return warning(
            _("The index hasn’t been opened: the embedding model isn’t ready."),
            _("See the embedding model below."),
        )
    index = find_active_index()
    found = index.count() if index else 0
    counts = {"found": number(found), "expected": number(expected)}
    if found >= expected or _is_changing():
        return ok(_("The index contains %(found)s passages of documents.") % counts, page="console-models")
    return problem(
        _("The index contains only %(found)s of %(expected)s passages, so some documents aren’t found.")
        % counts,
        _("Rebuild it; questions are still answered meanwhile:"),
        command="manage.py reindex --wait --swap",
        page="console-models",
    )


def _count_passages() -> int:
    ready = Document.objects.present().ready()
    return ready.aggregate(sum=Sum("active_version__chunk_count"))["sum"] or 0


def _is_changing() -> bool:
    pending = Receipt.objects.filter(state=ReceiptState.PENDING)
    return Job.objects.open().exists() or pending.exists()


def check_disk() -> HealthResult:
    """Check free space, and how long it lasts if files are added as in the last month."""
    folder = Path(settings.DATA_DIR)
    usage = shutil.disk_usage(folder)
    since = timezone.now() - timedelta(days=GROWTH_DAYS)
    added = DocumentVersion.objects.filter(created_at__gte=since).aggregate(sum=Sum("size"))["sum"] or 0
    text = _(
        "%(free)s of %(total)s are free in %(folder)s. Files added in the last %(days)s days: %(added)s."
    ) % {
        "free": size(usage.free),
        "total": size(usage.total),
        "folder": folder,
        "days": GROWTH_DAYS,
        "added": size(added),
    }
    if usage.free < ROOM_NEEDED:
        remedy = _("Uploads stop soon. Free some space, or move DATA_DIR to a larger disk.")
        return problem(text, remedy)
    if usage.free < min(usage.total * LITTLE_SHARE, 20 * ROOM_NEEDED) or added > usage.free:
        return warning(text, _("Free some space, or move DATA_DIR to a larger disk."))
    return ok(text)


def check_files() -> HealthResult:
    """Check the bucket. Raises what the storage raises."""
    check_file_storage()
    return ok(_("Bucket %(name)s responds.") % {"name": environment().s3_bucket})


def check_backup() -> HealthResult:
    command = f"manage.py backup /backups/{timezone.localdate().isoformat()} --verify"
    last = Event.objects.filter(action="backup.made").order_by("-at").first()
    if last is None:
        return warning(
            _("No backup has been made."), _("Make one, and store it on another machine:"), command=command
        )
    text = _describe_backup(last.at, last.detail)
    if last.detail.get("missing"):
        remedy = _("Files were missing when it was made. Find out why, and make another:")
        return warning(text, remedy, command=command)
    if timezone.now() - last.at > timedelta(days=BACKUP_DAYS):
        return warning(text, _("Back up at least every week:"), command=command)
    return ok(text)


def _describe_backup(at: Any, detail: dict[str, Any]) -> str:
    values = {"time": format_age(at), "documents": number(detail.get("documents", 0))}
    if "bytes" in detail:
        text = _("The last backup was made %(time)s ago: %(documents)s documents, %(size)s.")
        values["size"] = size(detail["bytes"])
    else:
        text = _("The last backup was made %(time)s ago: %(documents)s documents.")
    verified = _("It was verified.") if detail.get("verified") else _("It was not verified.")
    return f"{text % values} {verified}"
