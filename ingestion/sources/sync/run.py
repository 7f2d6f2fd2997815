"""Run a task of a source: content, access or people."""

import logging
import time
from collections.abc import Callable
from typing import Final

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.selectors import require_role
from cairn.errors import CairnError, Forbidden
from cairn.messages import CodedMessage
from ingestion.models import Source as SourceRow
from ingestion.models import SourceTask
from ingestion.sources.lease import SourceLease, SourceLeaseEnded, claim_schedule
from ingestion.sources.options import connect
from ingestion.sources.sync.access import sync_access
from ingestion.sources.sync.content import sync_content
from ingestion.sources.sync.context import RunContext
from ingestion.sources.sync.people import sync_people

log = logging.getLogger(__name__)

_SYNCS: Final[dict[str, Callable[[RunContext], str]]] = {
    SourceTask.CONTENT: sync_content,
    SourceTask.ACCESS: sync_access,
    SourceTask.PEOPLE: sync_people,
}


def run_source_task(schedule_id: int, *, clock: Callable[[], float] = time.monotonic) -> bool:
    """Run a task of a source, unless another worker runs it or it isn't due. Returns whether it ran.

    `clock` returns seconds; tests set it.
    """
    lease = claim_schedule(schedule_id)
    if lease is not None:
        run_leased(lease, clock=clock)
    return lease is not None


def run_leased(lease: SourceLease, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Run a claimed task, and record in its schedule how it ended."""
    schedule, began, context = lease.schedule, clock(), None
    name = f"{schedule.task} of source {schedule.source_id}"
    try:
        source = SourceRow.objects.select_related("knowledge_base", "user").get(pk=schedule.source_id)
        principal = _require_principal(source)
        with connect(source) as connection:
            context = RunContext(source, connection, principal, lease, clock)
            warning = _SYNCS[schedule.task](context)
    except SourceLeaseEnded:
        log.info("%s: stopped", name)
        lease.release()
        return
    except CairnError as error:
        problem = error
        log.warning("%s failed: %s", name, error.message)
    except Exception:  # the boundary of this piece of work: the next run may fare better
        problem = CairnError(CodedMessage("source_failed"))
        log.exception("%s failed", name)
    else:
        lease.record_success(context.result(clock() - began), warning)
        log.info("%s: %s", name, dict(context.counts))
        return
    lease.record_failure(context.result(clock() - began) if context else {}, problem)


def _require_principal(source: SourceRow) -> Principal:
    """Return the principal of the person who set up the source. Raises Forbidden unless they still manage the
    knowledge base."""
    if source.user is None or not source.user.is_active:
        raise Forbidden(CodedMessage("source_owner"))
    principal = principal_for_user(source.user)
    try:
        require_role(principal, source.knowledge_base, Role.MANAGER)
    except Forbidden as error:
        raise Forbidden(CodedMessage("source_owner")) from error
    return principal
