"""Dry runs and connection tests of sources, for people who wait for the result."""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from cairn.audit.services import record
from cairn.errors import CairnError
from cairn.messages import CodedMessage
from ingestion.models import Source
from ingestion.sources.check import options_check, source_check
from ingestion.sources.kinds import get_kind
from ingestion.sources.options import load_options, parse_options
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    SourceKind,
    SourceOptions,
    Unlisted,
    first_problem,
)
from ingestion.sources.time_limit import run_limited

log = logging.getLogger(__name__)

LIMIT_SECONDS: Final = 25.0
MAX_ITEMS: Final = 2000
SAMPLES: Final = 20


@dataclass(slots=True)
class DryRun:
    """Counts of a listing. `is_complete`: it was not ended by a limit or a problem.

    `size` sums up the known sizes in bytes; `unsized` counts the items without one. `largest` are containers
    with their number of items.
    """

    items: int = 0
    size: int = 0
    unsized: int = 0
    samples: list[Item] = field(default_factory=list)
    largest: list[tuple[str, int]] = field(default_factory=list)
    unlisted: list[Unlisted] = field(default_factory=list)
    is_complete: bool = False
    problem: str = ""


def check_typed(
    *, kind: str, options: Mapping[str, Any], before: Source | None, actor: UUID | None
) -> list[CheckStep]:
    """Test options that aren't stored. Raises InvalidInput if they aren't valid."""
    steps = options_check(kind=kind, options=options, before=before, seconds=LIMIT_SECONDS)
    _record("source.checked", kind, before, actor, answered=not first_problem(steps))
    return steps


def check_stored(source: Source, *, actor: UUID | None) -> list[CheckStep]:
    steps = source_check(source, seconds=LIMIT_SECONDS)
    _record("source.checked", source.kind, source, actor, answered=not first_problem(steps))
    return steps


def list_typed(*, kind: str, options: Mapping[str, Any], before: Source | None, actor: UUID | None) -> DryRun:
    """List what options that aren't stored would import. Raises InvalidInput if they aren't valid."""
    found = get_kind(kind)
    report = _list_items(found, parse_options(found, options, before=before))
    _record("source.listed", kind, before, actor, answered=not report.problem)
    return report


def list_stored(source: Source, *, actor: UUID | None) -> DryRun:
    try:
        report = _list_items(get_kind(source.kind), load_options(source))
    except CairnError as error:
        report = DryRun(problem=error.message)
    _record("source.listed", source.kind, source, actor, answered=not report.problem)
    return report


def _record(action: str, kind: str, source: Source | None, actor: UUID | None, *, answered: bool) -> None:
    subject = f"source:{source.pk}" if source else f"source_kind:{kind}"
    record(action, actor=actor, subject=subject, answered=answered)


def _list_items(kind: SourceKind, options: SourceOptions) -> DryRun:
    """List for at most LIMIT_SECONDS, and at most MAX_ITEMS."""
    report, found = DryRun(), Counter[str]()

    def work() -> None:
        try:
            _collect(kind, options, report, found)
        except CairnError as error:
            report.problem = error.message
        except Exception:  # the boundary of a thread: the person who waits learns that it failed
            log.exception("dry run of a source failed")
            report.problem = CodedMessage("source_check_failed")

    if not run_limited(work, LIMIT_SECONDS + 1) and not report.items:
        return DryRun(problem=CodedMessage("source_check_timeout", seconds=round(LIMIT_SECONDS)))
    report.largest = Counter(dict(found)).most_common(SAMPLES)
    return report


def _collect(kind: SourceKind, options: SourceOptions, report: DryRun, found: Counter[str]) -> None:
    until = time.monotonic() + LIMIT_SECONDS
    with kind.connect(options) as source:
        for change in source.list_changes(""):
            _count_change(change, report, found)
            if report.items >= MAX_ITEMS or time.monotonic() > until:
                return


def _count_change(change: Change, report: DryRun, found: Counter[str]) -> None:
    if isinstance(change, Complete):
        report.is_complete = True
    elif isinstance(change, Unlisted):
        report.unlisted.append(change)
    elif isinstance(change, Item):
        report.items += 1
        report.size += change.size or 0
        report.unsized += change.size is None
        found[change.container] += 1
        if len(report.samples) < SAMPLES:
            report.samples.append(change)
