"""Starts A/B tests, assigns people, counts answers and stops the test by its rules.

A person's model follows from a keyed hash of test and person, so nothing is stored about anyone who doesn't
ask. Questions with API keys stay with the active model: programs expect the model that they were set up
with, and nobody rates their answers.
"""

from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from cairn.access.scope import Principal
from cairn.answers import AnswerMode, Intent
from cairn.audit.services import record
from cairn.errors import Conflict
from cairn.inference.model_identity import ModelPlace, place_of
from cairn.messages import gettext_noop
from cairn.settings import Environment, environment
from cairn.settings.stored.licences import has_ended
from cairn.settings.stored.models import ModelLocation, ModelStatus, ModelType, RegisteredModel
from cairn.settings.stored.store import effective_environment, overrides_of_model
from retrieval.conversations.ab_tests.candidate_chat import REASON, Attempt, build_chat
from retrieval.conversations.ab_tests.results import compare_answers, describe_results, load_results
from retrieval.conversations.ab_tests.sequential_test import LOOKS, SIGNIFICANT_P, count_due_looks
from retrieval.engine import Engine
from retrieval.gaps.notices import notify_admins
from retrieval.models import ABTest, ABTestAnswer, ABTestOutcome, ABTestState, Message, MessageState
from retrieval.types import Answer

MAX_FAILURES_IN_A_ROW: Final = 3
MAX_PERCENT: Final = 50
MIN_ANSWERS: Final = 50
MAX_ANSWERS: Final = 100_000
_MODES: Final = (AnswerMode.GENERATED, AnswerMode.EXTRACTIVE, AnswerMode.NONE)
_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ABTestEntry:
    """A question that counts in an A/B test. `candidate`: the settings of the candidate if it answers this
    person, else None. `attempt`: whether it was unavailable."""

    test: ABTest
    candidate: Environment | None
    attempt: Attempt = field(default_factory=Attempt)

    def choose_engine(self, engine: Engine) -> Engine:
        """Return the engine in which this person's model answers, and the active one if it is unavailable."""
        if self.candidate is None:
            return engine
        chat = build_chat(self.candidate, engine.chat, self.attempt)
        writes = self.candidate.writes_answers
        return replace(engine, chat=chat, writes_answers=writes, candidate=self.candidate)


def ab_test_start(
    *, candidate: RegisteredModel, percent: int, max_answers: int, actor: UUID | None
) -> ABTest:
    """Start a test of a candidate that may answer people, which the caller has checked. Raises Conflict if
    one is running already, or if the candidate is the model that answers now."""
    place, active = place_of(_settings_of(candidate)), place_of(effective_environment())
    if place == active:
        raise Conflict(gettext_noop("This model already answers."))
    test = ABTest(
        candidate=candidate,
        candidate_server=place.server,
        candidate_model=place.name,
        active_server=active.server,
        active_model=active.name,
        percent=percent,
        max_answers=max_answers,
        started_by_id=actor,
    )
    try:
        with transaction.atomic():
            test.save(force_insert=True)
            record(
                "ab_test.started",
                actor=actor,
                subject=f"model:{candidate.name}",
                percent=percent,
                max_answers=max_answers,
                active_model=active.name,
            )
    except IntegrityError as error:
        raise Conflict(gettext_noop("Another A/B test is running. Stop it first.")) from error
    return test


def ab_test_stop(
    *, test: ABTest, state: ABTestState, p_value: float | None = None, actor: UUID | None = None
) -> bool:
    """End a running test, so that the active model answers everyone again; return whether it was running.
    Admins are notified, unless one of them has stopped it. The results so far are stored."""
    results = replace(load_results(test), p_value=p_value)
    with transaction.atomic():
        running = ABTest.objects.filter(pk=test.pk, state=ABTestState.RUNNING)
        if not running.update(state=state, ended_at=timezone.now(), results=describe_results(results)):
            return False
        record(
            "ab_test.stopped",
            actor=actor,
            subject=f"model:{test.candidate.name}",
            reason=state.value,
            answers=results.active.answers + results.candidate.answers,
            p_value=p_value,
        )
        if state != ABTestState.STOPPED:
            notify_admins(test)
    return True


def ab_test_stop_if_changed() -> None:
    """End the running test if its models are no longer the ones that it compares, or the candidate may no
    longer answer."""
    test = find_running_test()
    if test is not None and not _is_valid(test):
        ab_test_stop(test=test, state=ABTestState.CHANGED)


def find_running_test() -> ABTest | None:
    return ABTest.objects.filter(state=ABTestState.RUNNING).select_related("candidate").first()


def enter_ab_test(principal: Principal) -> ABTestEntry | None:
    """Return the running test that a question of this person counts in; None if there is none."""
    if principal.key is not None or principal.viewer is not None or principal.command:
        return None
    test = find_running_test()
    if test is None:
        return None
    if not _is_valid(test):
        ab_test_stop(test=test, state=ABTestState.CHANGED)
        return None
    return ABTestEntry(test, _settings_of(test.candidate) if is_assigned(test, principal.user) else None)


def is_assigned(test: ABTest, user: UUID) -> bool:
    """Return whether the candidate answers this person: always the same in a test, and independent of other
    tests."""
    digest = salted_hmac("cairn.ab_tests", f"{test.pk}:{user}", algorithm="sha256").digest()
    return int.from_bytes(digest[:8]) % _BUCKETS < test.percent * _BUCKETS // 100


def ab_test_count(*, entry: ABTestEntry, message: Message, answer: Answer) -> None:
    """Count a finished answer, and stop the test if one of its rules says so.

    Answers that need no language model don't count, nor do temporary chats, of which nothing may remain, nor
    refusals while documents are still being read.
    """
    test = entry.test
    if (
        message.conversation.temporary
        or answer.intent != Intent.ASK
        or answer.mode not in _MODES
        or not _claim(entry, message, answer)
    ):
        return
    if entry.attempt.failed and _is_failing(test):
        ab_test_stop(test=test, state=ABTestState.FAILING)
        return
    _look(test)


def _claim(entry: ABTestEntry, message: Message, answer: Answer) -> bool:
    """Store the outcome; return False if the answer doesn't count: it was stopped or deleted, documents are
    still being read, or the test has ended."""
    finished = Message.objects.filter(
        pk=message.pk, state=MessageState.DONE, trace__documents_being_read=False
    )
    if not finished.exists() or not _is_running(entry.test):
        return False
    try:
        with transaction.atomic():
            ABTestAnswer.objects.create(
                test=entry.test,
                message=message,
                is_candidate=entry.candidate is not None,
                outcome=_outcome(entry, answer),
                milliseconds=round(answer.timings.total_ms),
            )
    except IntegrityError:
        return False
    return True


def _outcome(entry: ABTestEntry, answer: Answer) -> ABTestOutcome:
    failed = entry.attempt.failed or answer.failure is not None or answer.broken_off
    return ABTestOutcome.FAILED if failed else ABTestOutcome(answer.verdict)


def _look(test: ABTest) -> None:
    """Examine the answers if that is due, and stop the test if the result or the number of answers says so.
    Several processes may compute the same look, outside of the transaction because that takes long, but the
    result of one counts."""
    due = count_due_looks(ABTestAnswer.objects.filter(test=test).count(), test.max_answers)
    looks = ABTest.objects.filter(pk=test.pk, state=ABTestState.RUNNING, looks__lt=due)
    if not looks.exists():
        return
    found = compare_answers(test)
    with transaction.atomic():
        if not looks.update(looks=due):
            return
        if found is not None and found.p_value <= SIGNIFICANT_P:
            state = ABTestState.BETTER if found.difference > 0 else ABTestState.WORSE
            ab_test_stop(test=test, state=state, p_value=found.p_value)
        elif due >= LOOKS:
            state = ABTestState.NO_DIFFERENCE
            ab_test_stop(test=test, state=state, p_value=found.p_value if found else None)


def _is_failing(test: ABTest) -> bool:
    """Return whether the candidate failed the last times that it was asked. For refusals without any passage,
    it isn't."""
    rows = ABTestAnswer.objects.filter(test=test, is_candidate=True).order_by("-created_at", "-id")
    asked = rows.filter(Q(outcome=ABTestOutcome.FAILED) | Q(message__trace__route__reason=REASON))
    last = list(asked.values_list("outcome", flat=True)[:MAX_FAILURES_IN_A_ROW])
    return last == [ABTestOutcome.FAILED] * MAX_FAILURES_IN_A_ROW


def _is_running(test: ABTest) -> bool:
    return ABTest.objects.filter(pk=test.pk, state=ABTestState.RUNNING).exists()


def _is_valid(test: ABTest) -> bool:
    """Return whether the test still compares the same models, and the candidate may answer people."""
    row = test.candidate
    places = (place_of(_settings_of(row)), place_of(effective_environment()))
    started = (
        ModelPlace(test.candidate_server, test.candidate_model),
        ModelPlace(test.active_server, test.active_model),
    )
    return (
        (row.type, row.location, row.status) == (ModelType.CHAT, ModelLocation.INSIDE, ModelStatus.CANDIDATE)
        and not has_ended(row.licence_ends, timezone.localdate())
        and places == started
    )


def _settings_of(row: RegisteredModel) -> Environment:
    return environment().with_stored(overrides_of_model(row))
