"""Tests of servers that admins name: is it there, and does it do what Cairn needs?"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.utils.translation import gettext

from cairn.audit.services import record
from cairn.inference.model_checks import Report, chat_reports
from cairn.settings import Environment, environment
from cairn.settings.stored.sections import LanguageModel, Section
from cairn.settings.stored.store import overrides_of
from web.health.secrets import without_secrets

LIMIT_SECONDS: Final = 20
_RESPONSE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class ConnectionResult:
    """`problem` is empty if the server works. `remarks`: what is worth knowing even then."""

    problem: str = ""
    milliseconds: int = 0
    remarks: tuple[str, ...] = ()


def run_test(section: Section, *, actor: UUID | None) -> ConnectionResult:
    """Ask the server that a section names, for at most LIMIT_SECONDS."""
    assert isinstance(section, LanguageModel)
    began = time.monotonic()
    found = _ask_language_model(environment().with_stored(overrides_of(section)))
    record(
        "models.checked",
        actor=actor,
        subject="model:chat",
        answered=not found.problem,
        milliseconds=round((time.monotonic() - began) * 1000),
    )
    return found


def _ask_language_model(given: Environment) -> ConnectionResult:
    """Ask in a separate thread, which is abandoned on timeout."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="settings-test")
    try:
        report = pool.submit(_report, given).result(timeout=LIMIT_SECONDS)
    except TimeoutError:
        return ConnectionResult(gettext("No response within %(n)s seconds.") % {"n": LIMIT_SECONDS})
    finally:
        pool.shutdown(wait=False)
    problem = without_secrets(report.problem, given)
    return ConnectionResult(
        f"{report.where}: {problem}" if problem else "", report.milliseconds or 0, tuple(report.remarks)
    )


def _report(given: Environment) -> Report:
    return next(iter(chat_reports(given, seconds=_RESPONSE_SECONDS)))
