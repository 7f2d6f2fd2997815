"""Notifies people that a question of theirs can be answered, once asking it again has answered it."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from cairn.access.permissions import documents_for
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.answers import Verdict
from cairn.errors import CairnError, Unavailable
from cairn.library.models import Document
from retrieval.conversations.ask import answer_again
from retrieval.gaps.models import Gap, GapQuestion, GapState, Notice, NoticeKind
from retrieval.gaps.notices import find_answer

log = logging.getLogger(__name__)

MAX_GAPS_PER_RUN: Final = 50
RETRY_AFTER: Final = timedelta(minutes=10)
"""A gap is tried again so long after the last question was asked again, if a model was not available or the
process ended."""


def notify_askers() -> int:
    """Notify people who asked about answers that they get by now; return how many people."""
    due = _due_gaps().order_by("answered_at")
    rows = due.select_related("verified__document__active_version", "document__active_version")
    return sum(_notify_askers_of(gap) for gap in rows[:MAX_GAPS_PER_RUN])


def _due_gaps() -> "QuerySet[Gap]":
    idle = Q(tried_at=None) | Q(tried_at__lt=F("answered_at")) | Q(tried_at__lt=timezone.now() - RETRY_AFTER)
    return Gap.objects.filter(idle, state=GapState.ANSWERED, told_at=None)


def _notify_askers_of(gap: Gap) -> int:
    document = find_answer(gap)
    if document is None or not _due_gaps().filter(pk=gap.pk).update(tried_at=timezone.now()):
        return 0
    count = 0
    for question in _waiting_questions(gap):
        Gap.objects.filter(pk=gap.pk).update(tried_at=timezone.now())
        try:
            if not _is_answered(question, document):
                continue
        except Unavailable as error:
            log.info("notifying the askers of gap %s later: %s", gap.id, error.code)
            return count
        user = question.message.conversation.user_id
        Notice.objects.create(user_id=user, kind=NoticeKind.ANSWERED, gap=gap, message=question.message)
        count += 1
    # Unless it was answered again meanwhile: then everyone is to be notified of that answer.
    Gap.objects.filter(pk=gap.pk, answered_at=gap.answered_at).update(told_at=timezone.now())
    return count


def _waiting_questions(gap: Gap) -> Iterator[GapQuestion]:
    """Yield the latest question of each person who was not notified yet: merging a gap adds people. A notice
    that is still unread also leads to the latest answer."""
    known = Q(created_at__gte=gap.answered_at) | Q(read_at=None)
    sent = Notice.objects.filter(known, gap=gap, kind=NoticeKind.ANSWERED)
    questions = gap.questions.filter(taken_back=False).select_related("message__conversation__user")
    waiting = questions.exclude(message__conversation__user__in=sent.values("user"))
    latest: dict[UUID, GapQuestion] = {each.message.conversation.user_id: each for each in waiting}
    yield from latest.values()


def _is_answered(question: GapQuestion, document: Document) -> bool:
    """Return whether the person now gets an answer from this document. Raises Unavailable."""
    try:
        principal = principal_for_user(question.message.conversation.user)
        return _may_read(principal, document) and _answers(document, question, principal)
    except Unavailable:
        raise
    except CairnError as error:  # an account that is disabled
        log.info("cannot retry question %s: %s", question.id, error.code)
        return False


def _may_read(principal: Principal, document: Document) -> bool:
    return documents_for(principal).filter(pk=document.pk).exists()


def _answers(document: Document, question: GapQuestion, principal: Principal) -> bool:
    chosen = question.message.chosen_knowledge_bases
    answer = answer_again(principal=principal, question=question.text, knowledge_bases=chosen)
    cited = {citation.document for citation in answer.citations}
    return answer.verdict != Verdict.REFUSED and document.pk in cited
