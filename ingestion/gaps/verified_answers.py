"""Verified answers: documents that an owner vouches for until their expiry date."""

import hashlib
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.audience import people_with_role
from cairn.access.models import Role
from cairn.access.permissions import knowledge_bases_for, may_replace
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_for
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import Conflict, Forbidden, InvalidInput, NotFound, PreconditionFailed
from cairn.hidden_characters import visible
from cairn.library.models import Document, KnowledgeBase
from cairn.messages import CodedMessage
from ingestion.documents.services import document_update
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.jobs.lifecycle import version_withdraw
from retrieval.gaps.models import Gap, NoticeKind, VerifiedAnswer
from retrieval.gaps.notices import notify
from retrieval.gaps.selectors import bases_of, verified_answer_for
from retrieval.gaps.services import gap_answered, gap_reopen, require_future_date
from retrieval.gaps.verified_documents import markdown_of

SOURCE: Final = "cairn:verified/"
WARNING_PERIOD: Final = timedelta(days=7)
MAX_WORDINGS: Final = 12
BATCH_SIZE: Final = 100
_PUBLISHED: Final = (
    "title", "text", "wordings", "owner", "until", "document", "sha256", "withdrawn_at", "warned_at",
)  # fmt: skip


def answer_publish(
    *,
    gap: Gap,
    principal: Principal,
    knowledge_base: object,
    title: str,
    text: str,
    wordings: Sequence[str],
    until: date,
    owner: User,
) -> VerifiedAnswer:
    """Publish an answer as a new document or a new version. It is searchable once processed.

    Unchanged text is not processed again. Principal and owner need the role editor; only admins may name
    another owner than themselves.
    """
    base = knowledge_base_for(principal, knowledge_base, role=Role.EDITOR)
    _require_may_name(owner, principal)
    _require_fits(gap, base, principal, owner, until)
    _require_may_change(gap, principal)
    verified = _save_answer(gap, base, title=title, text=text, wordings=wordings, until=until, owner=owner)
    return _publish(verified, principal)


def answer_renew(*, verified: VerifiedAnswer, principal: Principal, until: date) -> VerifiedAnswer:
    """Extend the validity of the answer. Raises NotFound if its document is gone.

    The principal becomes the owner, unless an admin renews the answer of an owner who is still an editor.
    """
    base = knowledge_base_for(principal, verified.knowledge_base_id, role=Role.EDITOR)
    with transaction.atomic():
        row = VerifiedAnswer.objects.select_for_update(of=("self",)).filter(pk=verified.pk).first()
        if row is None:
            raise NotFound
        # Read under the lock: another person may just have changed the text, and now vouches for it.
        row.owner, row.until = _owner_after_renewal(row, base, principal), until
        _require_fits(verified.gap, base, principal, row.owner, until)
        row.save(update_fields=["owner", "until"])
    try:
        return _publish(row, principal, if_match=frozenset({"*"}))
    except PreconditionFailed as gone:  # what was erased must not come back as a document of its own
        raise NotFound from gone


def _publish(
    verified: VerifiedAnswer, principal: Principal, *, if_match: frozenset[str] | None = None
) -> VerifiedAnswer:
    gap, until = verified.gap, verified.until
    content = markdown_of(verified).encode()
    document = document_submit(
        Upload(
            ContentFile(content, name="answer.md"),
            f"verified-{gap.id}.md",
            title=verified.title,
            source_uri=f"{SOURCE}{gap.id}",
            metadata={"verified": True, "until": until.isoformat()},
            if_match=if_match,
        ),
        knowledge_base=verified.knowledge_base,
        principal=principal,
    ).document
    changes = {"owner": verified.owner_id, "review_by": until}
    document_update(document=document, principal=principal, changes=changes)
    with transaction.atomic():
        verified.document, verified.sha256 = document, hashlib.sha256(content).hexdigest()
        verified.withdrawn_at = verified.warned_at = None
        # Text and owner, too: a person who publishes at the same moment must not vouch for this text.
        verified.save(update_fields=_PUBLISHED)
        gap_answered(gap=gap, document=None, actor=principal.actor)
        record(
            "answer.verified",
            actor=principal.actor,
            subject=f"gap:{gap.id}",
            document=str(document.id),
            owner=str(verified.owner_id),
        )
    return verified


def _require_may_name(owner: User, principal: Principal) -> None:
    if owner.pk != principal.user and not principal.acts_as_admin:
        raise Forbidden(
            gettext_noop("Only administrators can name someone else as the verifier of an answer.")
        )


def _require_may_change(gap: Gap, principal: Principal) -> None:
    """Raise Conflict for an answer whose document the principal may not replace. Saved text would be
    published in the name of whoever renews the answer, even if the upload that follows is refused."""
    document = Document.objects.filter(deleted_at=None, verification__gap=gap).first()
    if document is not None and not may_replace(principal, document):
        raise Conflict(CodedMessage("replacing_forbidden"))


def _owner_after_renewal(row: VerifiedAnswer, base: KnowledgeBase, principal: Principal) -> User:
    editors = people_with_role(base, Role.EDITOR)
    if row.owner and principal.acts_as_admin and editors.filter(pk=row.owner.pk).exists():
        return row.owner
    return User.objects.get(pk=principal.user)


def _require_fits(gap: Gap, base: KnowledgeBase, principal: Principal, owner: User, until: date) -> None:
    require_future_date(until)
    if not bases_of(gap, principal).filter(pk=base.pk).exists():
        raise InvalidInput(gettext_noop("The question belongs to other knowledge bases."))
    if not people_with_role(base, Role.EDITOR).filter(pk=owner.pk).exists():
        raise InvalidInput(gettext_noop("The owner must be an editor or manager of the knowledge base."))


def _save_answer(
    gap: Gap,
    base: KnowledgeBase,
    *,
    title: str,
    text: str,
    wordings: Sequence[str],
    until: date,
    owner: User,
) -> VerifiedAnswer:
    """Save the answer. A published answer cannot move to another knowledge base."""
    known = VerifiedAnswer.objects.filter(gap=gap).first()
    if known and known.document_id and known.knowledge_base_id != base.id:
        raise InvalidInput(gettext_noop("This answer is already published in another knowledge base."))
    questions = dict.fromkeys(_line(wording) for wording in wordings)
    row = known or VerifiedAnswer(gap=gap)
    row.knowledge_base, row.title, row.text = base, _line(title)[:500], visible(text).strip()
    row.wordings = [each for each in questions if each and each != row.title][:MAX_WORDINGS]
    row.owner, row.until = owner, until
    if not row.title or not row.text:
        raise InvalidInput(gettext_noop("Enter a question and an answer."))
    row.save()
    return row


def _line(text: str) -> str:
    return " ".join(visible(text).split())


def answers_expire(*, today: date | None = None) -> int:
    """Withdraw expired answers and notify owners before and on expiry. Returns the number withdrawn."""
    day = today or timezone.localdate()
    active = VerifiedAnswer.objects.filter(withdrawn_at=None).select_related("gap", "document", "owner")
    for verified in active.filter(until__lte=day + WARNING_PERIOD, until__gte=day, warned_at=None)[
        :BATCH_SIZE
    ]:
        _warn(verified)
    over = list(active.filter(until__lt=day)[:BATCH_SIZE])
    for verified in over:
        _expire(verified)
    return len(over)


def _warn(verified: VerifiedAnswer) -> None:
    with transaction.atomic():
        row = VerifiedAnswer.objects.filter(pk=verified.pk, warned_at=None)
        if row.update(warned_at=timezone.now()):
            notify(verified.owner, NoticeKind.EXPIRING, verified.gap)


def _expire(verified: VerifiedAnswer) -> None:
    with transaction.atomic():
        if not _withdraw(verified, CodedMessage("answer_expired", date=str(verified.until))):
            return
        gap_reopen(gap=verified.gap, actor=None)
        notify(verified.owner, NoticeKind.EXPIRED, verified.gap)
        record("answer.expired", actor=None, subject=f"gap:{verified.gap_id}")


def _withdraw(verified: VerifiedAnswer, message: CodedMessage) -> bool:
    """Stop giving an answer, unless it was renewed or withdrawn meanwhile. Its text stays, to be published
    again. Requires a transaction."""
    row = VerifiedAnswer.objects.filter(pk=verified.pk, withdrawn_at=None, until=verified.until)
    if not row.update(withdrawn_at=timezone.now()):
        return False
    if verified.document:
        version_withdraw(verified.document, message=message)
    return True


def gap_reopen_and_withdraw(*, gap: Gap, principal: Principal) -> Gap:
    """Reopen a gap. Its verified answer, which doesn't answer it then, is no longer given.

    Raises Forbidden for an answer that the principal can't read or may not edit.
    """
    with transaction.atomic():
        rows = VerifiedAnswer.objects.select_for_update(of=("self",)).select_related("document")
        verified = rows.filter(gap=gap, withdrawn_at=None).first()
        if verified is not None:
            _require_may_withdraw(gap, principal)
            _withdraw(verified, CodedMessage("answer_withdrawn"))
            record("answer.withdrawn", actor=principal.actor, subject=f"gap:{gap.id}")
        return gap_reopen(gap=gap, actor=principal.actor)


def _require_may_withdraw(gap: Gap, principal: Principal) -> None:
    readable = verified_answer_for(principal, gap)
    edited = knowledge_bases_for(principal, role=Role.EDITOR)
    if readable is None or not edited.filter(pk=readable.knowledge_base_id).exists():
        raise Forbidden(gettext_noop("Only editors who can read the gap’s verified answer can reopen it."))


def question_texts(gap: Gap) -> list[str]:
    """Return the gap's distinct question texts."""
    rows = gap.questions.select_related("message")[:MAX_WORDINGS]
    return list(dict.fromkeys(_line(question.text) for question in rows))
