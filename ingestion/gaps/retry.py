"""Ask unanswered questions again on behalf of their askers after documents have changed."""

import logging
from typing import Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from cairn.access.principals import principal_for_user
from cairn.answers import AnswerMode, Verdict
from cairn.errors import CairnError
from cairn.library.models import Document
from ingestion.reindexing.throttle import is_busy
from retrieval.conversations.ask import answer_again
from retrieval.gaps.models import UNANSWERED, Gap, GapQuestion, NoticeKind
from retrieval.gaps.notices import notify
from retrieval.gaps.services import gap_answered
from retrieval.types import Answer

log = logging.getLogger(__name__)

GAPS_PER_RUN: Final = 5
QUESTIONS_PER_GAP: Final = 2
"""Of one gap: the last ones that were asked."""


def retry_gaps() -> int:
    """Retry due gaps while the system is idle. Returns the number of gaps tried."""
    tried = 0
    for gap in list(gaps_due()[:GAPS_PER_RUN]):
        if is_busy():
            break
        _retry_gap(gap)
        tried += 1
    return tried


def gaps_due() -> "QuerySet[Gap]":
    """Unanswered gaps whose documents have changed since the last try, the longest waiting first."""
    since = Q(
        knowledge_bases__documents__deleted_at=None,
        knowledge_bases__documents__active_version__isnull=False,
    )
    newer = Q(tried_at=None, knowledge_bases__documents__updated_at__gt=F("created_at")) | Q(
        knowledge_bases__documents__updated_at__gt=F("tried_at")
    )
    due = Gap.objects.filter(since & newer, state__in=UNANSWERED, suggested_at=None).values("pk")
    return Gap.objects.filter(pk__in=due).order_by(F("tried_at").asc(nulls_first=True), "created_at")


def _retry_gap(gap: Gap) -> None:
    Gap.objects.filter(pk=gap.pk).update(tried_at=timezone.now())  # the next run takes another one
    questions = gap.questions.select_related("message__conversation__user").order_by("-created_at")
    for question in questions[:QUESTIONS_PER_GAP]:
        try:
            answer = _ask_again(question)
        except CairnError as error:  # the asker no longer exists, or a component is unavailable: retry later
            log.info("cannot retry gap %s: %s", gap.id, error.code)
            continue
        if documents := _new_documents(answer, question):
            _suggest(gap, documents, sure=answer.verdict == Verdict.SUPPORTED)
            return


def _ask_again(question: GapQuestion) -> Answer:
    principal = principal_for_user(question.message.conversation.user)
    return answer_again(principal=principal, question=question.text, knowledge_bases=question.bases or None)


def _new_documents(answer: Answer, question: GapQuestion) -> list[Document]:
    """Return cited documents that are newer than the question."""
    is_supported = answer.verdict == Verdict.SUPPORTED or (
        answer.verdict == Verdict.PARTIAL and answer.mode == AnswerMode.EXTRACTIVE
    )
    if not is_supported:
        return []
    cited = {citation.document for citation in answer.citations}
    return list(Document.objects.present().filter(pk__in=cited, updated_at__gt=question.message.created_at))


def _suggest(gap: Gap, documents: list[Document], *, sure: bool) -> None:
    if gap.closes_itself and sure:
        gap_answered(gap=gap, document=documents[0], actor=None)
        return
    rows = Gap.objects.filter(pk=gap.pk, state__in=UNANSWERED)
    if rows.update(suggested_at=timezone.now(), suggested=[str(document.id) for document in documents]):
        notify(gap.owner_id, NoticeKind.SUGGESTED, gap)
