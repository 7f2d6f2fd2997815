"""Answers that people vouch for: documents like any other, until their day is over."""

import hashlib
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from cairn.access.lookup import knowledge_base_for
from cairn.access.models import Role
from cairn.access.people import people_holding
from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import Forbidden, InvalidInput, NotFound, PreconditionFailed
from cairn.library.models import KnowledgeBase
from cairn.text import visible
from ingestion.lifecycle import version_withdraw
from ingestion.services import document_submit, document_update
from retrieval.gaps.lookup import bases_of
from retrieval.gaps.models import Gap, NoticeKind, VerifiedAnswer
from retrieval.gaps.notices import notify
from retrieval.gaps.services import gap_answered, gap_reopen, until_in_future

SOURCE: Final = "cairn:verified/"
WARNED_BEFORE: Final = timedelta(days=7)
MOST_WORDINGS: Final = 12
AT_ONCE: Final = 100
_PUBLISHED: Final = (
    "title", "text", "wordings", "owner", "until", "document", "sha256", "withdrawn_at", "warned_at",
)  # fmt: skip
_HEADING: Final = re.compile(r"^(#{1,5})(?=\s)")
_FENCE: Final = re.compile(r"^\s*(```|~~~)")


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
    """Makes a new version of its document, or the document. It answers once it has been read.

    A text that is the same is not read again. Takes the role editor, of the principal and the owner. The
    owner vouches for the answer: only admins can name somebody else than themselves.
    """
    base = knowledge_base_for(principal, knowledge_base, role=Role.EDITOR)
    _require_may_name(owner, principal)
    _require_fits(gap, base, principal, owner, until)
    verified = _kept(gap, base, title=title, text=text, wordings=wordings, until=until, owner=owner)
    return _published(verified, principal)


def answer_renew(*, verified: VerifiedAnswer, principal: Principal, until: date) -> VerifiedAnswer:
    """Extends the answer as it stands. NotFound if its document is gone.

    From then on the principal vouches for it, unless an admin renews the answer of somebody who still edits
    the knowledge base.
    """
    base = knowledge_base_for(principal, verified.knowledge_base_id, role=Role.EDITOR)
    with transaction.atomic():
        row = VerifiedAnswer.objects.select_for_update(of=("self",)).filter(pk=verified.pk).first()
        if row is None:
            raise NotFound
        # Read under the lock: somebody else may have changed the text a moment ago, and vouches for it now.
        row.owner, row.until = _owner_after_renewal(row, base, principal), until
        _require_fits(verified.gap, base, principal, row.owner, until)
        row.save(update_fields=["owner", "until"])
    try:
        return _published(row, principal, if_match=frozenset({"*"}))
    except PreconditionFailed as gone:  # what was erased must not come back as a document of its own
        raise NotFound from gone


def _published(
    verified: VerifiedAnswer, principal: Principal, *, if_match: frozenset[str] | None = None
) -> VerifiedAnswer:
    gap, until = verified.gap, verified.until
    content = markdown_of(verified).encode()
    document = document_submit(
        knowledge_base=verified.knowledge_base,
        file=ContentFile(content, name="answer.md"),
        filename=f"verified-{gap.id}.md",
        principal=principal,
        title=verified.title,
        source_uri=f"{SOURCE}{gap.id}",
        metadata={"verified": True, "until": until.isoformat()},
        if_match=if_match,
    ).document
    changes = {"owner": verified.owner_id, "review_by": until}
    document_update(document=document, principal=principal, changes=changes)
    with transaction.atomic():
        verified.document, verified.sha256 = document, hashlib.sha256(content).hexdigest()
        verified.withdrawn_at = verified.warned_at = None
        # Text and owner, too: whoever published at the same moment must not vouch for this text.
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
        raise Forbidden("Only admins can name somebody else as the one who vouches for an answer.")


def _owner_after_renewal(row: VerifiedAnswer, base: KnowledgeBase, principal: Principal) -> User:
    editors = people_holding(base, Role.EDITOR)
    if row.owner and principal.acts_as_admin and editors.filter(pk=row.owner.pk).exists():
        return row.owner
    return User.objects.get(pk=principal.user)


def _require_fits(gap: Gap, base: KnowledgeBase, principal: Principal, owner: User, until: date) -> None:
    until_in_future(until)
    if not bases_of(gap, principal).filter(pk=base.pk).exists():
        raise InvalidInput("The question was asked of other knowledge bases.")
    if not people_holding(base, Role.EDITOR).filter(pk=owner.pk).exists():
        raise InvalidInput("The owner must be somebody who edits or manages the knowledge base.")


def _kept(
    gap: Gap,
    base: KnowledgeBase,
    *,
    title: str,
    text: str,
    wordings: Sequence[str],
    until: date,
    owner: User,
) -> VerifiedAnswer:
    """An answer stays in the knowledge base that it was published in."""
    known = VerifiedAnswer.objects.filter(gap=gap).first()
    if known and known.document_id and known.knowledge_base_id != base.id:
        raise InvalidInput("It is published in another knowledge base already.")
    said = dict.fromkeys(_line(wording) for wording in wordings)
    row = known or VerifiedAnswer(gap=gap)
    row.knowledge_base, row.title, row.text = base, _line(title)[:500], visible(text).strip()
    row.wordings = [each for each in said if each and each != row.title][:MOST_WORDINGS]
    row.owner, row.until = owner, until
    if not row.title or not row.text:
        raise InvalidInput("A verified answer needs a question and a text.")
    row.save()
    return row


def _line(text: str) -> str:
    return " ".join(visible(text).split())


def markdown_of(verified: VerifiedAnswer) -> str:
    """The answer under its question, and again under each other wording: a passage is found by the heading
    that it stands under, and of passages that say the same a search takes one."""
    body = _deeper(verified.text)
    return "\n".join(f"# {_heading(each)}\n\n{body}\n" for each in (verified.title, *verified.wordings))


def _heading(text: str) -> str:
    """A question, not markup."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", text)


def _deeper(text: str) -> str:
    """With its own headings below the question's, but for what only looks like one in code."""
    lines, fenced = list[str](), False
    for line in text.splitlines():
        fenced ^= bool(_FENCE.match(line))
        lines.append(line if fenced else _HEADING.sub(r"#\1", line))
    return "\n".join(lines)


def answers_expire(*, today: date | None = None) -> int:
    """Takes out of answers what nobody vouches for any more, and tells owners before and then."""
    day = today or timezone.localdate()
    standing = VerifiedAnswer.objects.filter(withdrawn_at=None).select_related("gap", "document", "owner")
    for verified in standing.filter(until__lte=day + WARNED_BEFORE, until__gte=day, warned_at=None)[:AT_ONCE]:
        _warn(verified)
    over = list(standing.filter(until__lt=day)[:AT_ONCE])
    for verified in over:
        _withdraw(verified)
    return len(over)


def _warn(verified: VerifiedAnswer) -> None:
    with transaction.atomic():
        row = VerifiedAnswer.objects.filter(pk=verified.pk, warned_at=None)
        if row.update(warned_at=timezone.now()):
            notify(verified.owner, NoticeKind.EXPIRING, verified.gap)


def _withdraw(verified: VerifiedAnswer) -> None:
    with transaction.atomic():
        row = VerifiedAnswer.objects.filter(pk=verified.pk, withdrawn_at=None, until=verified.until)
        if not row.update(withdrawn_at=timezone.now()):
            return
        if verified.document:
            version_withdraw(verified.document, message=f"This answer was valid until {verified.until}.")
        gap_reopen(gap=verified.gap, actor=None)
        notify(verified.owner, NoticeKind.EXPIRED, verified.gap)
        record("answer.expired", actor=None, subject=f"gap:{verified.gap_id}")


def question_texts(gap: Gap) -> list[str]:
    """How it was asked, each once."""
    rows = gap.questions.select_related("message")[:MOST_WORDINGS]
    return list(dict.fromkeys(_line(question.text) for question in rows))
