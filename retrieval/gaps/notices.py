"""Notices (notifications in the app): answers for people who asked, tasks for owners of gaps, and ends of A/B
tests for admins."""

from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from cairn.access.permissions import documents_for
from cairn.access.principals import has_key_scope
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import User
from cairn.library.models import Document
from retrieval.gaps.models import Gap, Notice, NoticeKind, NoticeQuerySet
from retrieval.gaps.selectors import gaps_for
from retrieval.key_limits import conversations_within_limits
from retrieval.models import ABTest


def notices_for(principal: Principal) -> "NoticeQuerySet":
    """Return the principal's notices; none for an admin who views as the user.

    A key needs the scope `manage` for notices to owners and `admin` for those to admins, and one limited to
    some knowledge bases only gets notices about these.
    """
    mine = Notice.objects.filter(user=principal.user).select_related(
        "gap__verified__document__knowledge_base",
        "gap__document__knowledge_base",
        "message",
        "ab_test__candidate",
    )
    answered = Q(kind=NoticeKind.ANSWERED)
    if not has_key_scope(principal, "manage"):
        mine = mine.filter(answered)
    if not principal.acts_as_admin:
        mine = mine.exclude(kind=NoticeKind.AB_TEST)
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


def notify_admins(ab_test: ABTest) -> None:
    """Notify all admins that an A/B test has ended."""
    admins = User.objects.filter(is_active=True, is_admin=True)
    Notice.objects.bulk_create(
        Notice(user=admin, kind=NoticeKind.AB_TEST, ab_test=ab_test) for admin in admins
    )


def find_answer(gap: Gap) -> Document | None:
    """The document that answers it, while it can be found. Another may answer it once its verified answer is
    withdrawn."""
    verified = getattr(gap, "verified", None)
    if verified is not None and verified.withdrawn_at is not None:
        verified = None
    document: Document | None = verified.document if verified else gap.document
    if document is None or document.deleted_at or document.active_version is None:
        return None
    return document if verified is None or document.active_version.sha256 == verified.sha256 else None


def find_answering_document(notice: Notice, principal: Principal) -> Document | None:
    """Return the document that answers the question of the notice, if the principal may read it now."""
    document = find_answer(notice.gap) if notice.gap else None
    if document is None or not documents_for(principal).filter(pk=document.pk).exists():
        return None
    return document


def is_still_visible(notice: Notice, principal: Principal) -> bool:
    """Return whether the principal may still see the notice's subject."""
    if notice.kind == NoticeKind.AB_TEST:
        return principal.acts_as_admin
    if notice.kind != NoticeKind.ANSWERED:
        return gaps_for(principal).filter(notices=notice).exists()
    return find_answering_document(notice, principal) is not None
