"""Results of health checks, in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils import timezone
from django.utils.translation import ngettext

from web.i18n.localize import number


class HealthState(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class HealthResult:
    """`remedy`: what to do, with `command` to run on the server or `page`, the name of a page's URL.

    `detail` is technical and not translated, such as the error of a library.
    """

    state: HealthState
    message: str
    remedy: str = ""
    command: str = ""
    page: str = ""
    detail: str = ""


def ok(message: str, *, page: str = "") -> HealthResult:
    return HealthResult(HealthState.OK, message, page=page)


def warning(message: str, remedy: str, *, command: str = "", page: str = "") -> HealthResult:
    return HealthResult(HealthState.WARNING, message, remedy, command, page)


def problem(
    message: str, remedy: str, *, command: str = "", page: str = "", detail: str = ""
) -> HealthResult:
    return HealthResult(HealthState.PROBLEM, message, remedy, command, page, detail)


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def format_duration(seconds: float) -> str:
    """Format a duration in its largest unit: 2.4 seconds, 5 minutes, 3 days."""
    if seconds < 10:
        rounded = round(seconds, 1)
        return ngettext("%(n)s second", "%(n)s seconds", 1 if rounded == 1 else 2) % {"n": number(rounded)}
    if seconds < _MINUTE:
        return ngettext("%(n)s second", "%(n)s seconds", round(seconds)) % {"n": round(seconds)}
    if seconds < _HOUR:
        minutes = int(seconds / _MINUTE)
        return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}
    if seconds < _DAY:
        hours = int(seconds / _HOUR)
        return ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
    days = int(seconds / _DAY)
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": number(days)}


def format_age(moment: datetime) -> str:
    """Format how long ago a moment was."""
    return format_duration(max(0.0, (timezone.now() - moment).total_seconds()))


def worst(results: Sequence[HealthResult]) -> HealthState:
    order = list(HealthState)
    return max((result.state for result in results), key=order.index, default=HealthState.OK)
