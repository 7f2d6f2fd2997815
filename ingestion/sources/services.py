"""Services that set up, change, pause and delete sources, and request their tasks."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from cairn.access.scope import Principal
from cairn.access.source_access import SourceAccess
from cairn.access.source_services import forget_source, set_source_access
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput
from cairn.library.models import KnowledgeBase
from cairn.messages import CodedMessage
from ingestion import broker
from ingestion.models import Source, SourceItem, SourceReaders, SourceSchedule, SourceTask
from ingestion.sources.kinds import get_kind
from ingestion.sources.lease import free_schedules
from ingestion.sources.options import parse_options, store_options
from ingestion.sources.protocol import SourceKind

EVERY_SECONDS: Final[Mapping[SourceTask, int]] = {
    SourceTask.CONTENT: 3600,
    SourceTask.ACCESS: 900,
    SourceTask.PEOPLE: 3600,
}
"""How often a task runs by default."""
MIN_EVERY_SECONDS: Final = 60
_UPDATABLE: Final = frozenset({"name", "readers", "directory", "match_email", "enabled"})


def source_create(
    *,
    knowledge_base: KnowledgeBase,
    kind: str,
    name: str,
    options: Mapping[str, Any],
    principal: Principal,
    readers: str = SourceReaders.SOURCE,
    directory: str = "",
    match_email: bool = False,
    enabled: bool = True,
    every_seconds: Mapping[SourceTask, int] | None = None,
) -> Source:
    """Set up a source, whose tasks run as soon as a worker is free.

    Raises InvalidInput for invalid options, and Conflict if the knowledge base has a source of this name.
    """
    found = get_kind(kind)
    source = Source(
        knowledge_base=knowledge_base,
        kind=kind,
        name=_require_name(name),
        readers=_require_readers(found, readers),
        directory=directory,
        match_email=match_email,
        enabled=enabled,
        user_id=principal.user,
    )
    store_options(source, parse_options(found, options))
    with transaction.atomic():
        _save(source)
        _schedules_replace(source, found, every_seconds or {})
        record("source.created", actor=principal.actor, subject=f"source:{source.id}", kind=kind)
        _wake()
    return source


def source_update(
    *,
    source: Source,
    principal: Principal,
    options: Mapping[str, Any] | None = None,
    every_seconds: Mapping[SourceTask, int] | None = None,
    **changes: Any,
) -> Source:
    """Change options, every_seconds, name, readers, directory, match_email and enabled.

    `options` replace all stored ones, except secrets that are missing or empty. The principal becomes who set
    up the source.
    """
    unknown = changes.keys() - _UPDATABLE
    if unknown:
        raise InvalidInput(f"“{min(unknown)}” can’t be changed.")
    with transaction.atomic():
        row = Source.objects.present().select_for_update(of=("self",)).get(pk=source.pk)
        kind, readers_before = get_kind(row.kind), row.readers
        for field, value in changes.items():
            setattr(row, field, value)
        row.name, row.readers = _require_name(row.name), _require_readers(kind, row.readers)
        row.user_id = principal.user
        if options is not None:
            store_options(row, parse_options(kind, options, before=row))
            row.cursor, row.removal_confirmed = "", False
            row.check_error = ""
        _save(row)
        _schedules_replace(row, kind, every_seconds or {})
        if row.readers != readers_before:
            _readers_change(row, SourceReaders(readers_before))
        if options is not None or row.readers != readers_before:
            _restart(row)
        fields = sorted({*changes, *(["options"] if options is not None else [])})
        record("source.changed", actor=principal.actor, subject=f"source:{row.id}", fields=fields)
        _wake()
    return row


def source_pause(*, source: Source, principal: Principal | None) -> Source:
    """Run none of the source's tasks until it is resumed. A running one stops at its next step.

    Without a principal: by the command line.
    """
    return _set_enabled(source, principal, enabled=False)


def source_resume(*, source: Source, principal: Principal | None) -> Source:
    return _set_enabled(source, principal, enabled=True)


def source_request(
    *, source: Source, task: SourceTask, principal: Principal | None, full: bool = False
) -> None:
    """Run a task as soon as a worker is free. Raises Conflict while it is running.

    `full`: list everything again, import items whose documents were deleted here, and delete documents of
    items that are gone, even if those are most of them.
    """
    with transaction.atomic():
        rows = SourceSchedule.objects.filter(source=source, task=task)
        if not rows.exists():
            raise InvalidInput(gettext_noop("This source doesn’t have this task."))
        if not free_schedules().filter(pk__in=rows).update(requested_at=Now(), not_before=None):
            raise Conflict(gettext_noop("This source is being synced."))
        if full and task == SourceTask.CONTENT:
            _forget_progress(source)
        actor = principal.actor if principal else None
        record("source.requested", actor=actor, subject=f"source:{source.id}", task=task, full=full)
        _wake()


def source_delete(*, source: Source, principal: Principal, delete_documents: bool) -> None:
    """Delete a source. A worker then deletes its documents, or leaves them to the managers of the base."""
    with transaction.atomic():
        rows = Source.objects.filter(pk=source.pk, deleted_at=None)
        changed = rows.update(
            deleted_at=Now(),
            delete_documents=delete_documents,
            enabled=False,
            name=f"{source.id} (deleted)",
            secrets="",
            webhook_secret="",
        )
        if changed:
            record(
                "source.deleted",
                actor=principal.actor,
                subject=f"source:{source.id}",
                documents="deleted" if delete_documents else "kept",
            )
            _wake()


def _require_name(name: str) -> str:
    shortened = name.strip()
    if not shortened or len(shortened) > 120:
        raise InvalidInput(gettext_noop("Enter a name with up to 120 characters."))
    return shortened


def _require_readers(kind: SourceKind, readers: str) -> SourceReaders:
    if readers not in SourceReaders.values:
        raise InvalidInput(f"“{readers}” is not one of {', '.join(SourceReaders.values)}.")
    if readers == SourceReaders.SOURCE and not kind.has_access:
        raise InvalidInput(gettext_noop("This kind of source doesn’t say who may read a document."))
    return SourceReaders(readers)


def _save(source: Source) -> None:
    try:
        with transaction.atomic():
            source.save()
    except IntegrityError as error:
        raise Conflict(CodedMessage("source_name_taken", name=source.name)) from error


def tasks_of(kind: SourceKind, readers: str) -> list[SourceTask]:
    """Return the tasks of a source: permissions are only followed if they come from it."""
    follows = readers == SourceReaders.SOURCE
    tasks = {
        SourceTask.CONTENT: True,
        SourceTask.ACCESS: follows and kind.has_access,
        SourceTask.PEOPLE: follows and kind.has_people,
    }
    return [task for task, has in tasks.items() if has]


def _schedules_replace(source: Source, kind: SourceKind, every: Mapping[SourceTask, int]) -> None:
    """Create missing schedules, delete those of tasks the source doesn't have, and make all of them due
    now."""
    tasks = tasks_of(kind, source.readers)
    SourceSchedule.objects.filter(source=source).exclude(task__in=tasks).delete()
    for task in tasks:
        seconds = every.get(task)
        if seconds is not None and seconds < MIN_EVERY_SECONDS:
            raise InvalidInput(CodedMessage("source_too_often", seconds=MIN_EVERY_SECONDS))
        row, created = SourceSchedule.objects.get_or_create(
            source=source, task=task, defaults={"every_seconds": seconds or EVERY_SECONDS[task]}
        )
        if not created:
            changes = {"every_seconds": seconds} if seconds else {}
            SourceSchedule.objects.filter(pk=row.pk).update(not_before=None, **changes)


def _set_enabled(source: Source, principal: Principal | None, *, enabled: bool) -> Source:
    with transaction.atomic():
        Source.objects.filter(pk=source.pk, deleted_at=None).update(enabled=enabled)
        action = "source.resumed" if enabled else "source.paused"
        actor = principal.actor if principal else None
        record(action, actor=actor, subject=f"source:{source.id}")
        if enabled:
            SourceSchedule.objects.filter(source=source).update(not_before=None)
            _wake()
    source.refresh_from_db()
    return source


def _readers_change(source: Source, before: SourceReaders) -> None:
    """Restrict what everyone could read to managers, until the next sync sets the access of all documents."""
    items = SourceItem.objects.filter(source=source)
    if before == SourceReaders.EVERYONE:
        pending = SourceAccess(unknown=CodedMessage("source_access_pending"))
        documents = items.filter(document__isnull=False).values_list("document", flat=True)
        set_source_access(source.id, {document: pending for document in documents if document})
    if source.readers != SourceReaders.SOURCE:
        forget_source(source.id)
    items.update(synced_access_version="")


def _restart(source: Source) -> None:
    """End running tasks at their next step, since they still use the old options, and request all again."""
    rows = SourceSchedule.objects.filter(source=source)
    rows.update(lease=None, lease_until=None, requested_at=Now(), not_before=None)


def _forget_progress(source: Source) -> None:
    Source.objects.filter(pk=source.pk).update(cursor="", removal_confirmed=True)
    items = SourceItem.objects.filter(source=source)
    items.filter(Q(document=None) | ~Q(error="")).update(excluded=False, synced_version="", error="")
    items.update(excluded=False)


def _wake() -> None:
    transaction.on_commit(broker.wake_sources, robust=True)
