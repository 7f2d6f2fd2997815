"""Verification of a source: does Cairn enforce the permissions that the source has right now?

A random sample of documents is compared, and documents are searched for as people who may not read them. What
differs is corrected immediately, so that nobody reads more until the next sync.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.scope import Principal
from cairn.access.source_access import SourceAccess
from cairn.access.source_comparison import AccessDifference, Comparison, compare_source_access
from cairn.access.source_services import replace_source_people, set_source_access
from cairn.audit.services import record
from cairn.errors import CairnError, Conflict, InvalidInput
from cairn.messages import CodedMessage
from ingestion import broker
from ingestion.models import (
    Source,
    SourceItem,
    SourceReaders,
    SourceSchedule,
    SourceVerification,
    VerificationState,
)
from ingestion.sources.kinds import get_kind
from ingestion.sources.sync.access import find_outdated
from web.sources.canaries import find_leaked_documents
from web.sources.fresh_access import READ_SECONDS, FreshAccess, read_fresh_access

log = logging.getLogger(__name__)

MAX_DOCUMENTS: Final = 50
MAX_STORED: Final = 20
NAMED: Final = 20
"""People named for each document."""
ABANDONED_AFTER: Final = timedelta(minutes=10)
_OPEN: Final = (VerificationState.QUEUED, VerificationState.RUNNING)
_READ_WITH: Final = ("options", "secrets", "directory", "match_email")
Runs = Sequence[tuple[Any, ...]]


def can_verify(source: Source) -> bool:
    """Return whether the source decides who may read its documents."""
    try:
        has_access = get_kind(source.kind).has_access
    except InvalidInput:
        return False
    return has_access and source.readers == SourceReaders.SOURCE


def verification_begin(*, source: Source, principal: Principal) -> SourceVerification:
    """Queue a verification for a worker, or return the one that hasn't ended yet.

    Raises InvalidInput if the source doesn't decide who may read, and Conflict while it is paused.
    """
    if not can_verify(source):
        raise InvalidInput(gettext_noop("This source doesn’t decide who can read its documents."))
    with transaction.atomic():
        row = Source.objects.present().select_for_update(of=("self",)).get(pk=source.pk)
        if not row.enabled:
            raise Conflict(gettext_noop("This source is paused. Resume it first."))
        _end_abandoned(row)
        running = SourceVerification.objects.filter(source=row, state__in=_OPEN).first()
        if running is not None:
            return running
        made = SourceVerification.objects.create(source=row, requested_by_id=principal.user)
        old = SourceVerification.objects.filter(source=row).values_list("pk", flat=True)[MAX_STORED:]
        SourceVerification.objects.filter(pk__in=list(old)).delete()
        record("source.verification_started", actor=principal.actor, subject=f"source:{row.id}")
        transaction.on_commit(
            lambda: broker.send("web.verify_source", broker.WATCHES, str(made.id)), robust=True
        )
    return made


def last_verification(source: Source) -> SourceVerification | None:
    return SourceVerification.objects.filter(source=source).select_related("requested_by").first()


def _end_abandoned(source: Source) -> None:
    stale = SourceVerification.objects.filter(
        source=source, state__in=_OPEN, created_at__lt=timezone.now() - ABANDONED_AFTER
    )
    stale.update(
        state=VerificationState.FAILED, error=CodedMessage("check_interrupted"), ended_at=timezone.now()
    )


def verification_run(verification_id: UUID, *, seconds: float = READ_SECONDS) -> None:
    """Run a queued verification, unless another worker does."""
    rows = SourceVerification.objects.filter(pk=verification_id, state=VerificationState.QUEUED)
    if not rows.update(state=VerificationState.RUNNING):
        return
    row = SourceVerification.objects.select_related("source__knowledge_base").get(pk=verification_id)
    try:
        _verify(row, seconds)
    except CairnError as error:
        row.error = error.message
    except Exception:
        row.error = CodedMessage("check_failed")
        raise
    finally:
        _end(row)


def _verify(row: SourceVerification, seconds: float) -> None:
    runs = _list_runs(row.source)
    items = _sample(row.source)
    row.planned = len(items)
    fresh = read_fresh_access(row.source, items, seconds)
    row.error, row.people_read = fresh.problem, fresh.people is not None
    accesses = _by_document(items, fresh)
    row.documents = len(accesses)
    comparison = _compare_and_correct(row, runs, fresh, accesses)
    row.canaries, leaked = find_leaked_documents(comparison.allowed)
    row.found = len(leaked)
    if leaked:
        with transaction.atomic():
            _require_unchanged(row.source, runs)
            _restrict(row.source, leaked)
        row.differences += [
            _describe(AccessDifference(each, frozenset(), frozenset()), "found") for each in leaked
        ]


def _sample(source: Source) -> list[SourceItem]:
    rows = SourceItem.objects.filter(source=source, document__deleted_at=None, excluded=False)
    return list(rows.exclude(document=None).order_by("?")[:MAX_DOCUMENTS])


def _by_document(items: Sequence[SourceItem], fresh: FreshAccess) -> dict[UUID, SourceAccess]:
    outdated = find_outdated(items)
    return {
        item.document_id: replace(access, outdated=access.outdated or item.document_id in outdated)
        for item in items
        if item.document_id and (access := fresh.by_item.get(item.external_id))
    }


def _compare_and_correct(
    row: SourceVerification, runs: Runs, fresh: FreshAccess, accesses: Mapping[UUID, SourceAccess]
) -> Comparison:
    """Store the groups of the source, and what it says about documents that differ. What still lets somebody
    read too much is restricted."""
    source = row.source
    with transaction.atomic():
        _require_unchanged(source, runs)
        comparison = compare_source_access(source.id, accesses, fresh.people)
        differing = {each.document: accesses[each.document] for each in comparison.differences}
        if fresh.people is not None:
            replace_source_people(
                source.id, fresh.people, directory=source.directory, match_email=source.match_email
            )
        set_source_access(source.id, differing)
        after = compare_source_access(source.id, differing, fresh.people)
        open_still = {each.document for each in after.differences if each.too_much}
        _restrict(source, open_still)
        for each in comparison.differences:
            action = "restricted" if each.document in open_still else "corrected"
            row.differences.append(_describe(each, action))
            if each.too_much:
                _record_correction(source, each, action)
    return comparison


def _list_runs(source: Source) -> Runs:
    """Return which runs of the source's tasks have begun and ended, to notice new ones."""
    rows = SourceSchedule.objects.filter(source=source).order_by("task")
    return list(rows.values_list("task", "lease", "started_at", "finished_at"))


def _require_unchanged(source: Source, runs: Runs) -> None:
    """Lock the source. Raises Conflict if it was paused, deleted or changed since it was read, or if a sync
    has run: that may know of narrower permissions than were read before."""
    rows = Source.objects.present().select_for_update(of=("self",), no_key=True)
    row = rows.filter(pk=source.pk, enabled=True, readers=SourceReaders.SOURCE).first()
    if row is None or any(getattr(row, name) != getattr(source, name) for name in _READ_WITH):
        raise Conflict(gettext_noop("The source was changed during the check."))
    if any(lease for _task, lease, *_times in runs) or _list_runs(source) != runs:
        raise Conflict(gettext_noop("A sync ran during the check. Repeat the check after it."))


def _restrict(source: Source, documents: set[UUID]) -> None:
    """Let only managers read documents, until the next sync of access."""
    restricted = SourceAccess(unknown=CodedMessage("source_access_restricted"))
    set_source_access(source.id, dict.fromkeys(documents, restricted))


def _describe(each: AccessDifference, action: str) -> dict[str, Any]:
    return {
        "document": str(each.document),
        "too_much": sorted(map(str, each.too_much))[:NAMED],
        "too_much_count": len(each.too_much),
        "too_little": sorted(map(str, each.too_little))[:NAMED],
        "too_little_count": len(each.too_little),
        "level": each.level,
        "levels": each.levels,
        "action": action,
    }


def _record_correction(source: Source, each: AccessDifference, action: str) -> None:
    record(
        "source.access_corrected",
        actor=None,
        subject=f"document:{each.document}",
        source=str(source.id),
        people=len(each.too_much),
        outcome=action,
    )


def _end(row: SourceVerification) -> None:
    state = VerificationState.DIFFERENCES if row.differences else VerificationState.PASSED
    row.state = VerificationState.FAILED if row.error else state
    row.ended_at = timezone.now()
    with transaction.atomic():
        row.save()
        record(
            "source.verified",
            actor=None,
            subject=f"source:{row.source_id}",
            state=row.state,
            documents=row.documents,
            differences=len(row.differences),
            found=row.found,
        )
    if any(each["too_much_count"] or each["action"] == "found" for each in row.differences):
        log.error("source %s: more people could read documents than the source allows", row.source_id)
