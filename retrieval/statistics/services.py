"""Writing down the figures of a question, and that a document is used."""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from cairn.access.scope import Principal
from retrieval.models import Message
from retrieval.statistics.models import AskedBase, AskedQuestion, DocumentUse

MAX_KNOWLEDGE_BASES = 100
"""A question that found nothing in more knowledge bases than these is about none of them."""


def question_statistics_update(*, message: UUID, bases: Collection[UUID]) -> None:
    """Count the message's current state; call it in the transaction that ends the answer."""
    row = Message.objects.select_related("conversation").get(pk=message)
    columns = {
        "second": int(row.created_at.timestamp()),
        "user": row.conversation.user_id,
        "verdict": row.verdict,
        "rating": row.rating,
        "model": row.model,
        "prompt_tokens": row.usage.get("prompt_tokens", 0),
        "completion_tokens": row.usage.get("completion_tokens", 0),
        "first_token_ms": _whole(row.timings.get("first_token_ms")),
        "total_ms": _whole(row.timings.get("total_ms")),
    }
    [figures] = AskedQuestion.objects.bulk_create(
        [AskedQuestion(message_id=message, **columns)],
        update_conflicts=True,
        update_fields=list(columns),
        unique_fields=["message"],
    )
    about = bases if len(bases) <= MAX_KNOWLEDGE_BASES else ()
    figures.bases.all().delete()
    AskedBase.objects.bulk_create(
        AskedBase(question=figures, knowledge_base_id=base, second=figures.second) for base in sorted(about)
    )


def _whole(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else round(milliseconds)


def question_rate(*, message: UUID, rating: str) -> None:
    AskedQuestion.objects.filter(message=message).update(rating=rating)


def documents_cited(documents: Collection[UUID]) -> None:
    today = timezone.now().date()
    DocumentUse.objects.bulk_create(
        [DocumentUse(document_id=document, cited_on=today) for document in sorted(documents)],
        update_conflicts=True,
        update_fields=["cited_on"],
        unique_fields=["document"],
    )


def document_opened(*, document: UUID, principal: Principal) -> None:
    """Written once a day. An admin viewing as another user does not count."""
    today = timezone.now().date()
    if principal.viewer or DocumentUse.objects.filter(pk=document, opened_on=today).exists():
        return
    with transaction.atomic():
        DocumentUse.objects.update_or_create(document_id=document, defaults={"opened_on": today})
