"""Notices: answers for people who asked, tasks for owners of gaps."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from cairn.access.principals import has_key_scope, principal_for_user
from cairn.access.rules import documents_for
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import User
from cairn.errors import NotSignedIn
from cairn.library.models import Document
from retrieval.gaps.models import Gap, GapQuestion, GapState, Notice, NoticeKind, NoticeQuerySet
from retrieval.gaps.selectors import gaps_for
from retrieval.key_limits import conversations_within_limits

MAX_GAPS_PER_RUN = 50


def notices_for(principal: Principal) -> "NoticeQuerySet":
    """Return the principal's notices; none for an admin who views as the user.

    A key needs the scope `manage` for notices to owners, and one limited to some knowledge bases only gets
    notices about these.
    """
    mine = Notice.objects.filter(user=principal.user).select_related(
        "gap__verified__document__knowledge_base", "gap__document__knowledge_base", "message"
    )
    answered = Q(kind=NoticeKind.ANSWERED)
    if not has_key_scope(principal, "manage"):
        mine = mine.filter(answered)
    if principal.key_bases is not None:
        asked = Q(message__conversation__in=conversations_within_limits(principal))
        mine = mine.filter((answered & asked) | (~answered & Q(gap__in=gaps_for(principal).values("pk"))))
    return mine.none() if principal.viewer else mine


def notice_for(principal: Principal, value: object) -> Notice:
    return get_or_not_found(notices_for(principal), value)


def notice_read(*, notice: Notice) -> Notice:
    if notice.read_at is None:
        notice.read_at = timezone.now()
        notice.save(update_fields=["read_at"])
    return notice


def notices_read_all(*, principal: Principal) -> int:
    return notices_for(principal).unread().update(read_at=timezone.now())


def notify(user: User | UUID | None, kind: NoticeKind, gap: Gap) -> None:
    """The owner of a gap. One that is unread says it already."""
    identity = user.pk if isinstance(user, User) else user
    if identity is not None:
        Notice.objects.get_or_create(user_id=identity, kind=kind, gap=gap, message=None, read_at=None)


def answering(gap: Gap) -> Document | None:
    """The document that answers it, while it can be found."""
    verified = getattr(gap, "verified", None)
    if verified is not None:
        document: Document | None = verified.document if verified.withdrawn_at is None else None
    else:
        document = gap.document
    if document is None or document.deleted_at or document.active_version is None:
        return None
    return document if verified is None or document.active_version.sha256 == verified.sha256 else None


def find_answering_document(notice: Notice, principal: Principal) -> Document | None:
    """Return the document that answers the question of the notice, if the principal may read it now."""
    document = answering(notice.gap)
    if document is None or not documents_for(principal).filter(pk=document.pk).exists():
        return None
    return document


def is_still_visible(notice: Notice, principal: Principal) -> bool:
    """Return whether the principal may still see the notice's subject."""
    if notice.kind != NoticeKind.ANSWERED:
        return gaps_for(principal).filter(pk=notice.gap_id).exists()
    return find_answering_document(notice, principal) is not None


def notify_askers() -> int:
    """Notify people who asked about answers that can be found by now; return how many people."""
    waiting = Gap.objects.filter(state=GapState.ANSWERED, told_at=None).order_by("answered_at")
    rows = waiting.select_related("verified__document__active_version", "document__active_version")
    return sum(_notify_askers_of(gap) for gap in rows[:MAX_GAPS_PER_RUN])


def _notify_askers_of(gap: Gap) -> int:
    document = answering(gap)
    if document is None:
        return 0
    with transaction.atomic():
        if not Gap.objects.filter(pk=gap.pk, told_at=None).update(told_at=timezone.now()):
            return 0
        questions = gap.questions.filter(taken_back=False).select_related("message__conversation__user")
        waiting = questions.exclude(message__conversation__user__in=_find_notified_users(gap))
        notices = [_notify(question, gap) for question in _latest(waiting) if _may_read(question, document)]
    return len(notices)


def _find_notified_users(gap: Gap) -> list[UUID]:
    """Return users who were notified already: merging a gap adds others."""
    sent = Notice.objects.filter(gap=gap, kind=NoticeKind.ANSWERED, created_at__gte=gap.answered_at)
    return list(sent.values_list("user", flat=True))


def _latest(questions: "QuerySet[GapQuestion]") -> Iterable[GapQuestion]:
    """Return the latest question of each person."""
    return {question.message.conversation.user_id: question for question in questions}.values()


def _may_read(question: GapQuestion, document: Document) -> bool:
    """Return whether the person may read the document: otherwise they would be refused again."""
    try:
        principal = principal_for_user(question.message.conversation.user)
    except NotSignedIn:
        return False
    return documents_for(principal).filter(pk=document.pk).exists()


def _notify(question: GapQuestion, gap: Gap) -> Notice:
    user = question.message.conversation.user_id
    return Notice.objects.create(user_id=user, kind=NoticeKind.ANSWERED, gap=gap, message=question.message)
