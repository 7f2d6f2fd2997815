"""Test the connection to a source, step by step and within a time limit."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from cairn.errors import CairnError
from cairn.messages import CodedMessage
from ingestion.models import Source
from ingestion.sources.kinds import get_kind
from ingestion.sources.options import load_options, parse_options
from ingestion.sources.protocol import CheckStep, SourceKind, SourceOptions, SourceRefused, first_problem
from ingestion.sources.time_limit import run_limited

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 30.0
_CONNECT: Final = gettext_noop("Connect")


def source_check(source: Source, *, seconds: float = CHECK_SECONDS) -> list[CheckStep]:
    """Test a source with its stored options, and record the result. The last step has a problem if the test
    failed."""
    try:
        steps = _check(get_kind(source.kind), load_options(source), seconds)
    except CairnError as error:
        steps = [CheckStep(_CONNECT, problem=error.message)]
    _record_result(source, steps)
    return steps


def options_check(
    *, kind: str, options: Mapping[str, Any], before: Source | None = None, seconds: float = CHECK_SECONDS
) -> list[CheckStep]:
    """Test options before they are saved. Raises InvalidInput if they aren't valid.

    `before`: the source that has them, whose secrets are used where none is entered. If its stored options
    are the same, the result is recorded.
    """
    found = get_kind(kind)
    parsed = parse_options(found, options, before=before)
    steps = _check(found, parsed, seconds)
    if before and _has_options(before, parsed):
        _record_result(before, steps)
    return steps


def _has_options(source: Source, options: SourceOptions) -> bool:
    try:
        return load_options(source) == options
    except SourceRefused:
        return False


def _record_result(source: Source, steps: list[CheckStep]) -> None:
    Source.objects.filter(pk=source.pk).update(check_error=first_problem(steps), checked_at=Now())


def _check(kind: SourceKind, options: SourceOptions, seconds: float) -> list[CheckStep]:
    steps: list[CheckStep] = []

    def work() -> None:
        try:
            with kind.connect(options) as connection:
                steps.extend(connection.check())
        except CairnError as error:
            steps.append(CheckStep(_CONNECT, problem=error.message))
        except Exception:  # the boundary of a thread: the person who waits learns that it failed
            log.exception("check of a source failed")
            steps.append(CheckStep(_CONNECT, problem=CodedMessage("source_check_failed")))

    if run_limited(work, seconds):
        return steps
    timeout = CodedMessage("source_check_timeout", seconds=round(seconds))
    return [*steps, CheckStep(_CONNECT, problem=timeout)]
