"""Shadow runs: a candidate answers a share of the questions that people ask, and nobody sees its answers.

Verdicts, counts and times are stored, never words, so that no erasure of a document has anything to remove
here. The rows are deleted with their questions.
"""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from cairn.access.principals import principal_for_user
from cairn.access.selectors import scope_for
from cairn.answers import AnswerMode, Intent, Verdict
from cairn.errors import CairnError, Unavailable
from cairn.inference.model_identity import ModelPlace, place_of
from cairn.library.models import KnowledgeBase
from cairn.settings.stored.models import ModelLocation, ModelStatus, ModelType, RegisteredModel
from cairn.settings.stored.store import active_chat_model, effective_environment
from retrieval.conversations.ask import answer_unstored
from retrieval.conversations.services import history_for
from retrieval.engine import Engine
from retrieval.evaluation.candidates import open_candidate, settings_for
from retrieval.evaluation.models import ShadowRun
from retrieval.evaluation.run_comparison import change_of
from retrieval.evaluation.significance import PairedTest, compare_changes
from retrieval.models import Channel, Message, MessageState
from retrieval.types import Answer

log = logging.getLogger(__name__)

MAX_AGE: Final = timedelta(minutes=15)
"""Older questions are left out: what the documents say may have changed since they were answered."""
SILENT_AFTER: Final = timedelta(minutes=10)
"""A run that has taken longer was left behind by a worker that was killed."""
_MODES: Final = (AnswerMode.GENERATED, AnswerMode.EXTRACTIVE, AnswerMode.NONE)


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """Shadow runs of a candidate beside the model that answers now.

    `active` and `candidate`: how many of the `questions` have which verdict. `test`: of the candidate against
    the active model, by whether they answer at all; None without questions. `same_sources`: of the
    `both_cite` questions for which both cite documents, those with a document in common. `answer_ms`: the
    median time until the candidate's whole answer; None without questions. `failed`: questions that the
    candidate couldn't answer because of an error.
    """

    questions: int
    active: Mapping[Verdict, int]
    candidate: Mapping[Verdict, int]
    test: PairedTest | None
    both_cite: int
    same_sources: int
    answer_ms: float | None
    failed: int


def shadow_runs_carry_out(*, seconds: float) -> int:
    """Let candidates answer questions for up to so many seconds, and one more; return how many they were
    asked. Does nothing while another worker does this."""
    latest = timezone.now() - SILENT_AFTER
    if ShadowRun.objects.filter(ended_at=None, created_at__gt=latest).exists():
        return 0
    ends_at, asked = time.monotonic() + seconds, 0
    for candidate in _list_candidates():
        due = list_due(candidate)
        if due and time.monotonic() < ends_at:
            asked += _ask_candidate(candidate, due, ends_at)
    return asked


def _list_candidates() -> list[RegisteredModel]:
    rows = RegisteredModel.objects.filter(
        type=ModelType.CHAT, location=ModelLocation.INSIDE, status=ModelStatus.CANDIDATE, shadow_percent__gt=0
    )
    return list(rows)


def list_due(candidate: RegisteredModel) -> list[Message]:
    """Return the questions that the candidate has to answer, oldest first: a random share of those in the
    chat that the active model has answered since the share was set.

    Left out are temporary chats, assistants, conversations with files, answers of an A/B test's candidate,
    whatever needs no language model, and refusals while documents are still being read, which may be there
    for the candidate.
    """
    with_files = KnowledgeBase.objects.filter(conversation__isnull=False).values("conversation")
    messages = Message.objects.filter(
        state=MessageState.DONE,
        mode__in=_MODES,
        trace__intent=Intent.ASK,
        trace__documents_being_read=False,
        created_at__gte=_find_start(candidate),
        conversation__channel=Channel.CHAT,
        conversation__temporary=False,
        conversation__assistant_name="",
        conversation__user__is_active=True,
    )
    unasked = messages.exclude(conversation__in=with_files).exclude(shadow_runs__model=candidate)
    unasked = unasked.exclude(ab_test_answer__is_candidate=True)
    return [
        message
        for message in unasked.select_related("conversation__user").order_by("created_at", "id")
        if message.pk.int % 100 < candidate.shadow_percent
    ]


def _find_start(candidate: RegisteredModel) -> datetime:
    active = active_chat_model(ModelLocation.OUTSIDE) or active_chat_model(ModelLocation.INSIDE)
    changed = [row.changed_at for row in (candidate, active) if row is not None]
    return max(timezone.now() - MAX_AGE, *changed)


def _ask_candidate(candidate: RegisteredModel, due: Sequence[Message], ends_at: float) -> int:
    asked = 0
    with open_candidate(settings_for(candidate.name)) as engine:
        for message in due:
            if time.monotonic() >= ends_at:
                break
            asked += 1
            if not shadow_run_carry_out(message=message, candidate=candidate, engine=engine):
                break
    return asked


def shadow_run_carry_out(*, message: Message, candidate: RegisteredModel, engine: Engine) -> bool:
    """Let the candidate answer a question with what its asker may read now. Return whether the candidate's
    server is available."""
    run = _claim(message, candidate)
    if run is None:
        return True
    ended: dict[str, Any] = {"error": "failed"}
    try:
        ended = _answer(message, engine)
    except CairnError as error:
        ended = {"error": error.code}
        return not isinstance(error, Unavailable)
    finally:
        # The question may have been deleted meanwhile, and the row with it.
        ShadowRun.objects.filter(pk=run.pk).update(**ended, ended_at=timezone.now())
    return True


def _claim(message: Message, candidate: RegisteredModel) -> ShadowRun | None:
    """Return a new row; None if another worker was faster, or the question has been deleted."""
    active = place_of(effective_environment())
    try:
        with transaction.atomic():
            return ShadowRun.objects.create(
                message=message, model=candidate, active_server=active.server, active_model=active.name
            )
    except IntegrityError:
        return None


def _answer(message: Message, engine: Engine) -> dict[str, Any]:
    principal = principal_for_user(message.conversation.user)
    scope = scope_for(principal, message.chosen_knowledge_bases)
    history = history_for(message.conversation, message.parent_id, principal)
    began = time.perf_counter()
    answer = answer_unstored(message.question, scope=scope, engine=engine, history=history)
    return {
        "verdict": answer.verdict,
        "same_sources": _cites_same(message, answer),
        "milliseconds": round((time.perf_counter() - began) * 1000),
    }


def _cites_same(message: Message, answer: Answer) -> bool | None:
    """Return whether both answers cite a document in common; None unless both cite any."""
    shown = set(message.citations.values_list("document", flat=True))
    cited = {citation.document for citation in answer.citations}
    return not cited.isdisjoint(shown) if shown and cited else None


def summarize_shadow_runs(candidate: RegisteredModel) -> ShadowSummary:
    """Return what the candidate did, beside the model that answers now."""
    active = place_of(effective_environment())
    rows = [row for row in _load_rows(candidate) if _place(row) == active]
    ended = [row for row in rows if not row.error]
    changes = [
        change_of(now=_is_answered(row.verdict), before=_is_answered(row.message.verdict)) for row in ended
    ]
    times = [row.milliseconds for row in ended if row.milliseconds is not None]
    sources = [row.same_sources for row in ended if row.same_sources is not None]
    return ShadowSummary(
        questions=len(ended),
        active=_count([row.message.verdict for row in ended]),
        candidate=_count([row.verdict for row in ended]),
        test=compare_changes(changes),
        both_cite=len(sources),
        same_sources=sum(sources),
        answer_ms=float(median(times)) if times else None,
        failed=len(rows) - len(ended),
    )


def _load_rows(candidate: RegisteredModel) -> list[ShadowRun]:
    rows = ShadowRun.objects.filter(model=candidate, ended_at__isnull=False).select_related("message")
    return list(rows.only("verdict", "active_server", "active_model", "same_sources", "milliseconds",
                          "error", "message__verdict"))  # fmt: skip


def _place(run: ShadowRun) -> ModelPlace:
    return ModelPlace(run.active_server, run.active_model)


def _is_answered(verdict: str) -> bool:
    return verdict != Verdict.REFUSED


def _count(verdicts: Sequence[str]) -> dict[Verdict, int]:
    found = Counter(verdicts)
    return {verdict: found[verdict] for verdict in Verdict}
