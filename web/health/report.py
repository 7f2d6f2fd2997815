"""The health report: all checks of this installation, in parallel and within a time limit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cairn.errors import CairnError
from cairn.settings.stored.store import effective_environment
from web.health import models, processes, security, sources, storage
from web.health.deadline import Check, ParallelChecks
from web.health.results import HealthResult, HealthState, problem, worst
from web.health.secrets import without_secrets

LIMIT_SECONDS: float = 2.0

LABELS: Final[Mapping[str, Promise]] = {
    "workers": gettext_lazy("Workers"),
    "beat": gettext_lazy("Scheduler (beat)"),
    "queue": gettext_lazy("Queue"),
    "broker": gettext_lazy("Message broker"),
    "sources": gettext_lazy("Sources"),
    "database": gettext_lazy("Database and cache"),
    "index": gettext_lazy("Search index"),
    "files": gettext_lazy("File storage"),
    "disk": gettext_lazy("Disk space"),
    "backup": gettext_lazy("Backup"),
    "language_model": gettext_lazy("Language model"),
    "embedding_model": gettext_lazy("Embedding model"),
    "reranker": gettext_lazy("Reranker"),
    "answer_reader": gettext_lazy("Reader model"),
    "grounding_model": gettext_lazy("Grounding model"),
    "secrets": gettext_lazy("Secrets and permissions"),
    "programs": gettext_lazy("Document formats"),
}


@dataclass(frozen=True, slots=True)
class CheckedPart:
    """A part of the installation with the result of its check."""

    name: str
    label: str | Promise
    result: HealthResult


@dataclass(frozen=True, slots=True)
class HealthReport:
    parts: Sequence[CheckedPart]

    @property
    def state(self) -> HealthState:
        return worst([part.result for part in self.parts])

    @property
    def attention(self) -> list[CheckedPart]:
        """Parts that aren't in order, problems first."""
        ill = [part for part in self.parts if part.result.state != HealthState.OK]
        return sorted(ill, key=lambda part: part.result.state != HealthState.PROBLEM)

    @property
    def healthy(self) -> list[CheckedPart]:
        return [part for part in self.parts if part.result.state == HealthState.OK]


def health_report() -> HealthReport:
    """Check everything in the language that is active."""
    results = _running.run(checks(), LIMIT_SECONDS, on_timeout=_no_answer, on_error=_failure)
    return HealthReport([CheckedPart(name, LABELS[name], results[name]) for name in results])


_running: Final = ParallelChecks()


def checks() -> dict[str, Check]:
    """Return the checks of what this installation has, in the order of `LABELS`."""
    found: dict[str, Callable[[], HealthResult]] = {
        "workers": processes.check_workers,
        "beat": processes.check_beat,
        "queue": processes.check_queue,
        "broker": processes.check_broker,
        "sources": sources.check_sources,
        "database": storage.check_database,
        "index": storage.check_index,
        "disk": storage.check_disk,
        "backup": storage.check_backup,
        "language_model": models.check_language_model,
        "embedding_model": models.check_embedding_model,
        **models.configured_optional_models(),
        "secrets": security.check_secrets,
        "programs": security.check_programs,
    }
    if effective_environment().s3_bucket:
        found["files"] = storage.check_files
    return {name: found[name] for name in LABELS if name in found}


def _no_answer(_name: str) -> HealthResult:
    return problem(
        _("No answer within %(n)s seconds.") % {"n": round(LIMIT_SECONDS)},
        _("Check whether it is overloaded or unreachable. Then run:"),
        command="manage.py doctor",
    )


def _failure(_name: str, error: BaseException) -> HealthResult:
    detail = error.message if isinstance(error, CairnError) else type(error).__name__
    return problem(
        _("Doesn’t respond."),
        _("Check its address and its log. Then run:"),
        command="manage.py doctor",
        detail=without_secrets(detail, effective_environment()),
    )
