"""Keeping in mind what did not help, in the transaction that stores the answer or what was said of it."""

from uuid import UUID

from django.db import transaction

from cairn.access.models import ArtifactKind, CheckArtifact
from cairn.access.scope import Scope
from cairn.library.models import Document
from cairn.settings import environment
from retrieval.gaps.models import Gap, GapQuestion, Why
from retrieval.models import Message
from retrieval.types import Answer


def refusal_record(message: Message, answer: Answer, scope: Scope) -> None:
    """Belongs to the knowledge bases that were asked; where it was all of them, to that of the nearest
    document, so that not everybody learns of it."""
    if answer.verdict != "refused" or not _counts(message):
        return
    nearest = [hit.knowledge_base for hit in answer.nearest[:1]]
    _record(message, Why.REFUSED, nearest if scope.whole else sorted(scope.readable))


def rating_record(message: Message) -> None:
    """Rated down it did not help; rated up after all it did."""
    if message.rating == "down" and _counts(message):
        _record(message, Why.DOWN, _bases_of(message))
    elif message.rating != "down":
        question_forget(GapQuestion.objects.filter(message=message, why=Why.DOWN).first())


def _counts(message: Message) -> bool:
    """Questions of an access check, and those that the asker wants to keep private, do not count."""
    if not environment().gaps or not message.trace.get("passes_on", True):
        return False
    asker = message.conversation.user_id
    return not CheckArtifact.objects.filter(kind=ArtifactKind.USER, object_id=asker).exists()


def _record(message: Message, why: Why, bases: list[UUID]) -> None:
    """Once for each message, whatever is said of it later."""
    GapQuestion.objects.get_or_create(
        message=message, defaults={"why": why, "bases": sorted(map(str, bases))}
    )


def _bases_of(message: Message) -> list[UUID]:
    """As when it was refused; of an answer, that of the first document it cites."""
    if message.trace.get("whole") is False:
        return [UUID(base) for base in message.trace.get("knowledge_bases", [])]
    near = [UUID(str(item["document"])) for item in message.nearest[:1]]
    cited = message.citations.order_by("marker").values_list("document", flat=True)[:1]
    found = Document.objects.present().filter(pk__in=[*cited, *near][:1])
    return list(found.values_list("knowledge_base", flat=True))


def question_forget(question: GapQuestion | None) -> None:
    """With its gap, if that is left with nothing."""
    if question is None:
        return
    with transaction.atomic():
        gap = question.gap_id
        question.delete()
        gaps_tidy(gap)


def gaps_tidy(*gaps: UUID | None) -> None:
    """Of these, or of all if none is named, those without a question or an answer go."""
    named = [gap for gap in gaps if gap]
    if gaps and not named:
        return
    empty = Gap.objects.filter(questions=None, verified=None)
    (empty.filter(pk__in=named) if named else empty).delete()


def passing_on_set(*, message: Message, passed_on: bool, with_name: bool) -> GapQuestion | None:
    """Said by the asker. None: this question does not concern anybody."""
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
