"""Recording of unhelpful answers, in the transaction that stores the answer or its rating."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from cairn.access.models import ArtifactKind, CheckArtifact
from cairn.access.scope import Scope
from cairn.answers import AnswerMode, Intent, Verdict
from cairn.library.models import Document
from cairn.settings import environment
from retrieval.gaps.models import Gap, GapQuestion, Why
from retrieval.models import Message
from retrieval.types import Answer

_ABOUT_DOCUMENTS = frozenset({Intent.LIST, Intent.FIND, Intent.SUMMARISE})
"""Intents that ask for documents. Such a message is no question that a document could answer."""


def refusal_record(message: Message, answer: Answer, scope: Scope) -> None:
    """Records a refused question, which may be passed on, for the knowledge bases that were asked.

    If the asker named none, only the managers of the official knowledge base that came nearest learn of it.
    """
    if answer.verdict != Verdict.REFUSED or answer.intent in _ABOUT_DOCUMENTS or not _counts(message):
        return
    if answer.mode == AnswerMode.DECLINED:
        return
    bases = _first_official(hit.document for hit in answer.nearest) if scope.whole else sorted(scope.readable)
    _record(message, Why.REFUSED, bases)


def rating_record(message: Message) -> None:
    """Record a gap for an answer that was rated down, and remove it once the rating changes.

    If the trace doesn't say whether the question may be passed on, it stays private.
    """
    if message.rating == "down" and message.trace.get("passes_on", False) and _counts(message):
        _record(message, Why.DOWN, _bases_of(message))
    elif message.rating != "down":
        question_forget(GapQuestion.objects.filter(message=message, why=Why.DOWN).first())


def _counts(message: Message) -> bool:
    """Questions of an access check or a temporary chat, small talk and declined questions do not count."""
    if message.mode in {AnswerMode.SMALL_TALK, AnswerMode.DECLINED} or message.conversation.temporary:
        return False
    if not environment().knowledge_gaps_enabled:
        return False
    user = message.conversation.user_id
    return not CheckArtifact.objects.filter(kind=ArtifactKind.USER, object_id=user).exists()


def _record(message: Message, why: Why, bases: list[UUID]) -> None:
    """Once for each message, whatever is said of it later."""
    GapQuestion.objects.get_or_create(
        message=message, defaults={"why": why, "bases": sorted(map(str, bases))}
    )


def _bases_of(message: Message) -> list[UUID]:
    """The knowledge bases that were asked; if none was named, the first official one that was cited, or
    that came near."""
    if (chosen := message.chosen_knowledge_bases) is not None:
        return [UUID(base) for base in chosen]
    near = [UUID(str(item["document"])) for item in message.nearest]
    cited = message.citations.order_by("marker").values_list("document", flat=True)
    return _first_official([*cited, *near])


def _first_official(documents: Iterable[UUID]) -> list[UUID]:
    """The knowledge base of the first of the documents that lies in an official one; none: admins only.

    Anybody who may create a knowledge base could otherwise collect other people's questions, with documents
    that come near to all sorts of them.
    """
    named = list(documents)
    found = Document.objects.present().filter(pk__in=named, knowledge_base__official=True)
    homes = dict(found.values_list("pk", "knowledge_base"))
    return [homes[document] for document in named if document in homes][:1]


def question_forget(question: GapQuestion | None) -> None:
    """Delete a question, and its gap if that becomes empty."""
    if question is None:
        return
    with transaction.atomic():
        gap = question.gap_id
        question.delete()
        gaps_tidy(gap)


def gaps_tidy(*gaps: UUID | None) -> None:
    """Delete gaps without a question or an answer, among these or all."""
    named = [gap for gap in gaps if gap]
    if gaps and not named:
        return
    empty = Gap.objects.filter(questions=None, verified=None)
    (empty.filter(pk__in=named) if named else empty).delete()


def passing_on_set(*, message: Message, passed_on: bool, with_name: bool) -> GapQuestion | None:
    """Set whether the owners see the question. Returns None if it belongs to no gap."""
    with transaction.atomic():
        question = GapQuestion.objects.select_for_update().filter(message=message).first()
        if question is None:
            return None
        gap = question.gap_id
        question.taken_back, question.with_name = not passed_on, passed_on and with_name
        if question.taken_back:
            question.gap = question.embedding = None
            question.embedding_model = ""
        question.save()
        gaps_tidy(gap)
    return question
