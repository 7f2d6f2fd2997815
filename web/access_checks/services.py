"""Services for access checks: one at a time, on request or by schedule, with stored results."""

import logging
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.models import AccessCheck, CheckState
from cairn.audit.services import record
from cairn.errors import CairnError, Conflict
from cairn.messages import CodedMessage
from cairn.settings import environment
from ingestion import broker
from web.access_checks.artifacts import ABANDONED_AFTER, find_possible_leftovers
from web.access_checks.canary_check import Leak, check_canaries
from web.access_checks.sampling import check_spots

log = logging.getLogger(__name__)

MAX_STORED_CHECKS = 100
INTERRUPTED = CodedMessage("check_interrupted")
RESULTS = (CheckState.PASSED, CheckState.LEAKED)


def last_result() -> AccessCheck | None:
    return AccessCheck.objects.filter(state__in=RESULTS).order_by("-created_at").first()


def has_leak() -> bool:
    last = last_result()
    return last is not None and last.state == CheckState.LEAKED


def check_begin(*, requested_by: UUID | None) -> AccessCheck:
    """Queue a check for a worker. Raises Conflict while one is running."""
    with transaction.atomic():
        running = AccessCheck.objects.select_for_update().filter(state=CheckState.RUNNING)
        for stale in running.filter(created_at__lt=timezone.now() - ABANDONED_AFTER):
            _end(stale, state=CheckState.FAILED, error=INTERRUPTED)
        if running.filter(created_at__gte=timezone.now() - ABANDONED_AFTER).exists():
            raise Conflict(gettext_noop("An access check is already running."))
        check = AccessCheck.objects.create(requested_by_id=requested_by)
        record("access_check.started", actor=requested_by, subject=f"access-check:{check.id}")
        transaction.on_commit(lambda: _send(check), robust=True)
    return check


def _send(check: AccessCheck) -> None:
    broker.send("web.verify_access", broker.WATCHES, str(check.id))


def check_due() -> bool:
    """Return whether a scheduled check is due, counted from the start of the last one."""
    hours = environment().access_check_interval_hours
    if not hours:
        return False
    return not AccessCheck.objects.filter(created_at__gt=timezone.now() - timedelta(hours=hours)).exists()


def check_run(check_id: UUID) -> None:
    check = AccessCheck.objects.filter(pk=check_id, state=CheckState.RUNNING).first()
    if check is None:
        return
    _report_possible_leftovers()
    try:
        canaries, spots = check_canaries(check), check_spots()
    except CairnError as error:
        _end(check, state=CheckState.FAILED, error=error.message)
        return
    except Exception:
        _end(check, state=CheckState.FAILED, error=CodedMessage("check_failed"))
        raise
    leaks = _distinct([*canaries.leaks, *spots.leaks])
    check.probes, check.spots, check.leaks = canaries.probes, spots.probes, leaks
    _end(check, state=CheckState.LEAKED if leaks else CheckState.PASSED)


def _report_possible_leftovers() -> None:
    if leftovers := find_possible_leftovers():
        log.warning(
            "%d objects may have been left by an access check of an earlier version: see Access check in the "
            "administration. They are not removed.",
            len(leftovers),
        )


def _distinct(leaks: Iterable[Leak]) -> list[dict[str, str]]:
    return [asdict(leak) for leak in dict.fromkeys(leaks)]


def _end(check: AccessCheck, *, state: CheckState, error: str = "") -> None:
    check.state, check.error, check.ended_at = state, error, timezone.now()
    with transaction.atomic():
        check.save()
        record("access_check.ended", actor=None, subject=f"access-check:{check.id}", state=state.value)
        old = AccessCheck.objects.order_by("-created_at").values("pk")[MAX_STORED_CHECKS:]
        AccessCheck.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
    if state is CheckState.LEAKED:
        log.error("the access check found %d leaks", len(check.leaks))
