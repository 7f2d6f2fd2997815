"""Checks of workers, beat and what waits for them."""

from datetime import timedelta
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cairn.settings import environment
from ingestion import broker
from ingestion.jobs.presence import load_processes
from ingestion.jobs.statistics import jobs_in, waiting
from ingestion.models import Job, ProcessKind
from web.health.results import HealthResult, format_age, ok, problem, warning

STUCK_AFTER: Final = timedelta(minutes=5)
SLOW_AFTER: Final = timedelta(hours=1)


def check_workers() -> HealthResult:
    reports = load_processes(ProcessKind.WORKER)
    alive = [report for report in reports if not report.is_silent]
    silent = [report for report in reports if report.is_silent]
    if not alive:
        return problem(
            _("No worker is running, so uploaded documents aren’t processed and nothing is erased."),
            _("Start one:"),
            command=_start_command("worker"),
        )
    if silent:
        return warning(
            _("Worker %(name)s has stopped responding: last seen %(time)s ago.")
            % {"name": silent[0].name, "time": format_age(silent[0].seen_at)},
            _("Read its log, and restart it if you didn’t stop it."),
        )
    text = ngettext(
        "%(n)s worker has been running for %(time)s.",
        "%(n)s workers are running, the first for %(time)s.",
        len(alive),
    )
    return ok(text % {"n": len(alive), "time": format_age(alive[0].started_at)})


def check_beat() -> HealthResult:
    alive = [report for report in load_processes(ProcessKind.BEAT) if not report.is_silent]
    if not alive:
        return problem(
            _(
                "No scheduler is running, so retention periods, watched folders and lost jobs aren’t "
                "taken care of."
            ),
            _("Start it:"),
            command=_start_command("beat"),
        )
    return ok(_("The scheduler has been running for %(time)s.") % {"time": format_age(alive[0].started_at)})


def _start_command(name: str) -> str:
    in_process = environment().celery_broker_url.startswith("memory:")
    return "manage.py up" if in_process else f"manage.py {name}"


def check_broker() -> HealthResult:
    """Check the broker. Raises what it raises if it isn't reachable."""
    if environment().celery_broker_url.startswith("memory:"):
        return ok(_("The message broker runs inside Cairn."))
    broker.ping()
    return ok(_("The message broker responds."))


def check_queue() -> HealthResult:
    """Check whether queued documents move on."""
    found = waiting(jobs_in(None))
    if not found.documents or found.since is None:
        return ok(_("No documents are waiting."), page="console-ingestion")
    text = ngettext(
        "%(n)s document has been waiting for %(time)s.",
        "%(n)s documents are waiting, the oldest for %(time)s.",
        found.documents,
    ) % {"n": found.documents, "time": format_age(found.since)}
    age = timezone.now() - found.since
    if age > STUCK_AFTER and not Job.objects.leased().exists():
        remedy = _("None is being processed. Check the workers and the message broker above.")
        return problem(text, remedy, page="console-ingestion")
    if age > SLOW_AFTER:
        remedy = _("Start more workers, or raise WORKER_THREADS.")
        return warning(text, remedy, page="console-ingestion")
    return ok(text, page="console-ingestion")
