"""Questions that people wrote for everybody, or that several asked, and that were answered well."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count, Exists, F, Min, OuterRef, Q
from django.db.models.functions import Length, Lower, Trim
from django.utils import timezone

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.answers import Verdict
from retrieval.evaluation.models import GoldQuestion, GoldSource
from retrieval.gaps.models import VerifiedAnswer
from retrieval.models import Citation, Message, MessageState

MIN_PEOPLE: Final = 3
"""A question that fewer people asked may say something about one of them."""
MAX_CHARACTERS: Final = 160
_RECENT: Final = timedelta(days=90)


def verified_questions(
    principal: Principal, count: int, *, base: UUID | None = None, documents: Sequence[UUID] | None = None
) -> list[str]:
    """Return questions of verified answers that the principal may read now."""
    readable = documents_for(principal).ready()
    if base is not None:
        readable = readable.filter(knowledge_base=base)
    if documents is not None:
        readable = readable.filter(pk__in=documents)
    rows = VerifiedAnswer.objects.annotate(length=Length("title")).filter(
        document__in=readable,
        document__active_version__sha256=F("sha256"),
        until__gte=timezone.localdate(),
        withdrawn_at=None,
        length__lte=MAX_CHARACTERS,
    )
    return list(rows.order_by("?").values_list("title", flat=True)[:count])


def gold_questions(
    principal: Principal, count: int, *, base: UUID | None = None, documents: Sequence[UUID] | None = None
) -> list[str]:
    """Return gold questions that stand by themselves and whose documents the principal may all read now."""
    sources = GoldSource.objects.filter(question=OuterRef("pk"))
    closed = sources.exclude(document__in=documents_for(principal).ready())
    rows = GoldQuestion.objects.annotate(length=Length("question")).filter(
        Exists(sources), ~Exists(closed), history=[], length__lte=MAX_CHARACTERS
    )
    if base is not None:
        rows = rows.filter(knowledge_base=base)
    if documents is not None:
        rows = rows.filter(Exists(sources.filter(document__in=documents)))
    return list(rows.order_by("?").values_list("question", flat=True)[:count])


def popular_questions(principal: Principal, base: UUID, count: int) -> list[str]:
    """Return questions that several people asked in the same words and whose answers were supported, the most
    popular first.

    An answer counts only if the principal may read all documents that it cites now, so that nobody learns
    what is asked about documents that are closed to them.
    """
    citations = Citation.objects.filter(message=OuterRef("pk"))
    closed = citations.exclude(document__in=documents_for(principal).ready())
    since = int((timezone.now() - _RECENT).timestamp())
    answered = Message.objects.annotate(text=Lower(Trim("question")), length=Length("question")).filter(
        Q(standalone_question="") | Q(standalone_question=F("question")),
        Exists(citations),
        ~Exists(closed),
        figures__bases__knowledge_base=base,
        figures__bases__second__gte=since,
        state=MessageState.DONE,
        verdict=Verdict.SUPPORTED,
        length__lte=MAX_CHARACTERS,
    )
    answered = answered.exclude(rating="down").exclude(trace__passes_on=False)
    counted = (
        answered.order_by()
        .values("text")
        .annotate(people=Count("conversation__user", distinct=True), question=Min("question"))
    )
    popular = counted.filter(people__gte=MIN_PEOPLE).order_by("-people", "text")
    return [row["question"].strip() for row in popular[:count]]
