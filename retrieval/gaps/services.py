"""Actions on gaps. Each is one transaction with an audit event."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.scope import Principal
from cairn.access.selectors import document_for
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput
from cairn.library.models import Document
from retrieval.gaps.models import Gap, GapQuestion, GapState, NoticeKind, VerifiedAnswer
from retrieval.gaps.notices import notify
from retrieval.gaps.recorder import gaps_tidy
from retrieval.gaps.selectors import owners_of


def gap_update(*, gap: Gap, principal: Principal, changes: Mapping[str, Any]) -> Gap:
    """`changes` has the fields to change: owner (a user id), due, note, closes_itself."""
    with transaction.atomic():
        row = _lock_gap(gap)
        before = row.owner_id
        if "owner" in changes:
            row.owner_id = _owner(row, changes["owner"])
            row.state = _waiting_state(row)
        for name in ("due", "note", "closes_itself"):
            if name in changes:
                setattr(row, name, changes[name])
        row.save()
        if row.owner_id and row.owner_id != before and row.owner_id != principal.user:
            notify(row.owner_id, NoticeKind.ASSIGNED, row)
        record("gap.changed", actor=principal.actor, subject=f"gap:{gap.id}", fields=sorted(changes))
    return row


def _lock_gap(gap: Gap) -> Gap:
    return Gap.objects.select_for_update().get(pk=gap.pk)


def _owner(gap: Gap, value: UUID | None) -> UUID | None:
    if value is not None and not owners_of(gap).filter(pk=value).exists():
        raise InvalidInput(gettext_noop("The owner must be an editor or manager of the knowledge base."))
    return value


def _waiting_state(gap: Gap) -> str:
    if gap.state not in {GapState.OPEN, GapState.ASSIGNED}:
        return gap.state
    return GapState.ASSIGNED if gap.owner_id else GapState.OPEN


def gap_dismiss(*, gap: Gap, reason: str, principal: Principal) -> Gap:
    with transaction.atomic():
        row = _lock_gap(gap)
        if row.state == GapState.ANSWERED:
            raise Conflict(gettext_noop("This gap is already answered."))
        row.state, row.dismissed_reason, row.suggested, row.suggested_at = (
            GapState.DISMISSED,
            reason,
            [],
            None,
        )
        row.save()
        record("gap.dismissed", actor=principal.actor, subject=f"gap:{gap.id}")
    return row


def gap_reopen(*, gap: Gap, actor: UUID | None) -> Gap:
    """Reopen a gap whose answer is wrong or gone. Its verified answer has to be withdrawn first."""
    with transaction.atomic():
        row = _lock_gap(gap)
        row.state = GapState.ASSIGNED if row.owner_id else GapState.OPEN
        row.dismissed_reason, row.document, row.answered_at, row.told_at = "", None, None, None
        row.save()
        record("gap.reopened", actor=actor, subject=f"gap:{gap.id}")
    return row


def gap_merge(*, gap: Gap, into: Gap, principal: Principal) -> Gap:
    """Move the questions into another gap. Raises Conflict unless both have the same knowledge bases:
    otherwise people would see questions that are not for them."""
    if gap.pk == into.pk:
        raise InvalidInput(gettext_noop("A gap can’t be merged with itself."))
    with transaction.atomic():
        rows = Gap.objects.select_for_update().order_by("id").in_bulk([gap.pk, into.pk])
        if len(rows) < 2 or gap.base_key != into.base_key:
            raise Conflict(gettext_noop("Only gaps in the same knowledge bases can be merged."))
        if VerifiedAnswer.objects.filter(gap=gap).exists():
            raise Conflict(
                gettext_noop("This gap has a verified answer. Merge the other gap into this one instead.")
            )
        GapQuestion.objects.filter(gap=gap).update(gap=into)
        gap.notices.filter(message=None).delete()
        gap.notices.update(gap=into)
        Gap.objects.filter(pk=gap.pk).delete()
        Gap.objects.filter(pk=into.pk, state=GapState.ANSWERED).update(told_at=None, tried_at=None)
        record("gap.merged", actor=principal.actor, subject=f"gap:{into.id}", merged=str(gap.id))
    return into


def question_split(*, question: GapQuestion, principal: Principal) -> Gap:
    """Move a question into a gap of its own, with the same knowledge bases."""
    with transaction.atomic():
        old = Gap.objects.select_for_update().get(questions=question)
        if old.questions.count() < 2:
            raise Conflict(gettext_noop("This is the gap’s only question."))
        gap = Gap.objects.create(base_key=old.base_key)
        gap.knowledge_bases.set(old.knowledge_bases.all())
        GapQuestion.objects.filter(pk=question.pk).update(gap=gap)
        record("gap.split", actor=principal.actor, subject=f"gap:{gap.id}", split_from=str(old.id))
    return gap


def gap_link(*, gap: Gap, document_id: object, principal: Principal) -> Gap:
    """Mark a gap as answered by a document in one of its knowledge bases, which the principal can see."""
    document = document_for(principal, document_id)
    if gap.base_key and not gap.knowledge_bases.filter(pk=document.knowledge_base_id).exists():
        raise InvalidInput(gettext_noop("The document is in another knowledge base."))
    if VerifiedAnswer.objects.filter(gap=gap, withdrawn_at=None).exists():
        raise Conflict(gettext_noop("This gap already has a verified answer."))
    return gap_answered(gap=gap, document=document, actor=principal.actor)


def gap_answered(*, gap: Gap, document: Document | None, actor: UUID | None) -> Gap:
    """Mark a gap as answered. People who asked are notified once the document can be found."""
    with transaction.atomic():
        row = _lock_gap(gap)
        row.state, row.document, row.answered_at, row.told_at = (
            GapState.ANSWERED, document, timezone.now(), None,
        )  # fmt: skip
        row.dismissed_reason, row.suggested, row.suggested_at = "", [], None
        row.save()
        record("gap.answered", actor=actor, subject=f"gap:{gap.id}")
    return row


def suggestion_decline(*, gap: Gap, principal: Principal) -> Gap:
    with transaction.atomic():
        row = _lock_gap(gap)
        row.suggested, row.suggested_at = [], None
        row.save(update_fields=["suggested", "suggested_at"])
        record("gap.suggestion_declined", actor=principal.actor, subject=f"gap:{gap.id}")
    return row


def document_forget(document: UUID) -> None:
    """Forget a document that is being erased: its verified answers go, its gaps reopen."""
    with transaction.atomic():
        verified = VerifiedAnswer.objects.filter(document=document)
        answered = Gap.objects.filter(document=document) | Gap.objects.filter(verified__in=verified)
        for gap in answered.distinct():
            gap_reopen(gap=gap, actor=None)
        verified.delete()
        for gap in Gap.objects.filter(suggested__icontains=str(document)):
            gap.suggested = [each for each in gap.suggested if each != str(document)]
            gap.suggested_at = gap.suggested_at if gap.suggested else None
            gap.save(update_fields=["suggested", "suggested_at"])
        gaps_tidy()


def knowledge_bases_forget() -> None:
    """Delete gaps, with their questions, that belong only to deleted knowledge bases."""
    with transaction.atomic():
        lone = Gap.objects.filter(knowledge_bases=None).exclude(base_key="")
        GapQuestion.objects.filter(gap__in=lone).delete()
        lone.delete()


def require_future_date(until: date) -> date:
    if until < timezone.localdate():
        raise InvalidInput(gettext_noop("The expiry date must be in the future."))
    return until
