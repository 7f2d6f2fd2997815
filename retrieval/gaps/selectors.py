"""Gaps, for editors and managers of their knowledge bases, and for people they are assigned to."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, OuterRef, Prefetch, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Coalesce, NullIf
from django.utils import timezone

from cairn.access.audience import people_with_role
from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from retrieval.gaps.models import Gap, GapQuestion, VerifiedAnswer

RECENT = timedelta(days=14)


def gaps_for(principal: Principal) -> "QuerySet[Gap]":
    """Return gaps of knowledge bases that the principal manages, and their own where they edit.

    Gaps without a knowledge base are for admins. A key limited to some knowledge bases does not see gaps that
    also belong to another one.
    """
    managed = Gap.objects.filter(knowledge_bases__in=knowledge_bases_for(principal, role=Role.MANAGER))
    edited = knowledge_bases_for(principal, role=Role.EDITOR)
    theirs = Gap.objects.filter(owner=principal.user, knowledge_bases__in=edited)
    seen = Q(pk__in=managed.values("pk")) | Q(pk__in=theirs.values("pk"))
    if principal.administers:
        seen |= Q(base_key="")
    rows = Gap.objects.filter(seen).exclude(questions=None, verified=None)
    if principal.key_bases is None:
        return rows
    elsewhere = Gap.knowledge_bases.through.objects.exclude(knowledgebase__in=principal.key_bases)
    return rows.exclude(pk__in=elsewhere.values("gap"))


def gap_for(principal: Principal, value: object) -> Gap:
    row: Gap = get_or_not_found(annotate_gaps(gaps_for(principal), principal), value)
    return row


def annotate_gaps(rows: "QuerySet[Gap]", principal: Principal) -> "QuerySet[Any]":
    """Annotate `title`, `asked` (how often), `last_asked`, and the counts of the last two fortnights.

    Of the knowledge bases, only those that the principal may read are loaded: a question may have been asked
    of others, too.
    """
    first = GapQuestion.objects.filter(gap=OuterRef("pk")).order_by("created_at", "id")
    nothing = Value("", output_field=TextField())
    words = Coalesce(NullIf("message__standalone_question", nothing), "message__question")
    now = timezone.now()
    lately = Q(questions__created_at__gt=now - RECENT)
    before = Q(questions__created_at__gt=now - 2 * RECENT) & ~lately
    return (
        rows.select_related(
            "owner", "document", "verified__owner", "verified__document", "verified__knowledge_base"
        )
        .prefetch_related(Prefetch("knowledge_bases", knowledge_bases_for(principal)))
        .annotate(
            title=Coalesce(
                Subquery(first.annotate(words=words).values("words")[:1]),
                "verified__title",
                nothing,
                output_field=TextField(),
            ),
            asked=Count("questions"),
            last_asked=Coalesce(Max("questions__created_at"), "created_at"),
            lately=Count("questions", filter=lately),
            before=Count("questions", filter=before),
        )
    )


def verified_answer_for(principal: Principal, gap: Gap) -> VerifiedAnswer | None:
    """Only for who may read the document that it was published as, or else its knowledge base."""
    rows = VerifiedAnswer.objects.select_related("gap", "document", "owner", "knowledge_base")
    open_to_them = Q(document=None) | Q(document__in=documents_for(principal))
    return rows.filter(open_to_them, gap=gap, knowledge_base__in=knowledge_bases_for(principal)).first()


def questions_of(gap: Gap) -> "QuerySet[GapQuestion]":
    return gap.questions.select_related("message__conversation__user")


def bases_of(gap: Gap, principal: Principal) -> "QuerySet[KnowledgeBase]":
    """Return where the principal may answer the gap: its knowledge bases, or any if it has none."""
    edited = knowledge_bases_for(principal, role=Role.EDITOR).order_by("name", "id")
    return edited.filter(gaps=gap) if gap.base_key else edited


def owners_of(gap: Gap) -> "QuerySet[User]":
    """Return possible owners: people who edit or manage one of its knowledge bases, else admins."""
    people = User.objects.none()
    for base in gap.knowledge_bases.present():
        people = people | people_with_role(base, Role.EDITOR)
    found = people if gap.base_key else User.objects.active().filter(is_admin=True)
    return found.distinct().order_by("username")


def documents_near(gap: Gap, principal: Principal) -> Sequence[Document]:
    """Documents that its questions came near to, most often first, of those the principal may read."""
    counts: dict[UUID, int] = {}
    for question in gap.questions.select_related("message")[:200]:
        for item in question.message.nearest:
            document = UUID(str(item["document"]))
            counts[document] = counts.get(document, 0) + 1
    rows = documents_for(principal).with_versions().in_bulk(counts)
    return sorted(rows.values(), key=lambda row: -counts[row.id])[:8]


def documents_suggested(gap: Gap, principal: Principal) -> Sequence[Document]:
    return list(documents_for(principal).with_versions().filter(pk__in=gap.suggested))
