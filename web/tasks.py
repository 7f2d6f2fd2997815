"""Celery tasks that need the whole web application."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from celery import shared_task

from cairn.accounts.password_mails import password_resets_request
from cairn.cache.services import expired_delete
from cairn.limits import rate_limits
from retrieval.conversations.ask import answers_interrupt
from retrieval.evaluation.shadow_runs import shadow_runs_carry_out
from web.access_checks.artifacts import remove_abandoned_artifacts
from web.access_checks.services import check_begin, check_due, check_run
from web.mail.password_links import password_mails_send
from web.model_tests.comparison import comparison_run, comparisons_end_abandoned
from web.model_tests.red_team import red_team_run, runs_end_abandoned
from web.sources.verification import verification_run

SURELY_DEAD: Final = timedelta(minutes=10)
"""Answers send a heartbeat every few seconds; after this long without one, their process is gone."""
SHADOW_SECONDS: Final = 50.0
"""A little less than the time until beat sends the next task."""


@shared_task(name="web.verify_access")
def verify_access(check: str) -> None:
    check_run(UUID(check))


@shared_task(name="web.verify_access_due")
def verify_access_due() -> None:
    remove_abandoned_artifacts()
    if check_due():
        check_begin(requested_by=None)


@shared_task(name="web.verify_source")
def verify_source(verification: str) -> None:
    verification_run(UUID(verification))


@shared_task(name="web.red_team")
def red_team(run: str) -> None:
    red_team_run(UUID(run))


@shared_task(name="web.model_comparison")
def model_comparison(comparison: str) -> None:
    comparison_run(UUID(comparison))


@shared_task(name="web.shadow_runs")
def shadow_runs() -> None:
    shadow_runs_carry_out(seconds=SHADOW_SECONDS)


@shared_task(name="web.red_team_tidy")
def red_team_tidy() -> None:
    runs_end_abandoned()
    comparisons_end_abandoned()


@shared_task(name="web.usage_tidy")
def usage_tidy() -> None:
    rate_limits.usage_tidy()


@shared_task(name="web.cache_tidy")
def cache_tidy() -> None:
    expired_delete()


@shared_task(name="web.send_password_mails")
def send_password_mails() -> None:
    password_mails_send()


@shared_task(name="web.request_password_resets")
def request_password_resets(name: str, language: str, site: str) -> None:
    """Look the name up here, so that the response to the request doesn't depend on it, nor does its time."""
    if password_resets_request(name, language=language, site=site):
        password_mails_send()


@shared_task(name="web.answers_interrupt")
def interrupt_answers() -> None:
    answers_interrupt(silent_for=SURELY_DEAD)
