"""Shared conversations. Readers see only answers from documents that they may read themselves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from cairn.access.permissions import documents_for, match_principal
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.access.services import EVERYONE, parse_subject
from cairn.answers import AnswerMode, Intent
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput, NotFound
from retrieval.conversations.assistants import usable_assistant
from retrieval.conversations.branches import Tree
from retrieval.conversations.redaction import has_uncited_text, prompted_documents
from retrieval.conversations.services import (
    ERASED,
    ShownMessage,
    load_path_to,
    load_shown_message,
    state_of,
    title_from,
)
from retrieval.conversations.small_talk import is_small_talk
from retrieval.intents.document_lines import LIST_ITEM
from retrieval.key_limits import conversations_within_limits
from retrieval.models import (
    Channel,
    Citation,
    Conversation,
    ConversationBase,
    Message,
    MessageState,
    Share,
    ShareReader,
)

_COUNTING: Final = frozenset({Intent.LIST, Intent.FIND})
NOT_OPEN = gettext_noop("You don’t have access to this answer’s documents.")


def shares_for(principal: Principal) -> "QuerySet[Share]":
    """Return the shares that the principal may open now.

    None of disabled owners, and none for an admin who views as the user. A key limited to some knowledge
    bases gets none about others.
    """
    if principal.viewer:
        return Share.objects.none()
    named = ShareReader.objects.filter(match_principal(principal)).values("share")
    opened = Q(everyone=True) | Q(id__in=named) | Q(conversation__user=principal.user)
    rows = Share.objects.filter(opened, conversation__user__is_active=True)
    if principal.key_bases is not None:
        rows = rows.filter(conversation__in=conversations_within_limits(principal))
    return rows.select_related("conversation__user")


def share_for(principal: Principal, value: object) -> Share:
    return get_or_not_found(shares_for(principal), value)


def share_of(conversation: Conversation, message: Message | None = None) -> Share:
    """Return the link to the conversation, or to one of its answers."""
    share = _shares_of(conversation, message).first()
    if share is None:
        raise NotFound
    return share


def _shares_of(conversation: Conversation, message: Message | None) -> "QuerySet[Share]":
    rows = Share.objects.filter(conversation=conversation, single=message is not None)
    return rows if message is None else rows.filter(last=message)


def share_title(share: Share) -> str:
    """Return the title for readers. That of the conversation may say what they cannot see of it."""
    return title_from(share.last.question) if share.single else share.conversation.title


def share_put(
    *,
    conversation: Conversation,
    message: Message | None = None,
    subjects: Sequence[str],
    renew: bool = False,
    actor: UUID | None,
) -> Share:
    """Share with these subjects only: the conversation, or `message` alone. `renew`: the link also shows what
    was added since."""
    everyone, readers = _readers(subjects)
    with transaction.atomic():
        thread = Conversation.objects.select_for_update().get(pk=conversation.pk)
        if thread.temporary:
            raise Conflict(gettext("A temporary chat can’t be shared."))
        share = _shares_of(thread, message).first()
        made = share is None
        share = share or Share(conversation=thread, single=message is not None)
        if made or renew:
            share.last, share.renewed_at = _last_settled(thread, message), timezone.now()
        share.everyone = everyone
        share.save()
        share.readers.all().delete()
        ShareReader.objects.bulk_create(
            ShareReader(share=share, user_id=user, group_id=group) for user, group in readers
        )
        record(
            "share.created" if made else "share.changed",
            actor=actor,
            subject=f"message:{message.id}" if message else f"conversation:{thread.id}",
            share=str(share.id),
            to=list(dict.fromkeys(subjects)),
            last=str(share.last_id),
        )
    return share


def _readers(subjects: Sequence[str]) -> tuple[bool, list[tuple[UUID | None, UUID | None]]]:
    if not subjects:
        raise InvalidInput(gettext("Choose who can open the link."))
    if EVERYONE in subjects:
        return True, []
    return False, [parse_subject(text) for text in dict.fromkeys(subjects)]


def _last_settled(conversation: Conversation, message: Message | None) -> Message:
    """Return the last message of the shown path, or of `message` alone, that is not being written."""
    path = Tree(conversation).path if message is None else [message.id]
    rows = Message.objects.in_bulk(path)
    settled = [rows[each] for each in path if state_of(rows[each]) != MessageState.RUNNING]
    if not settled:
        raise Conflict(gettext("There’s no answer to share yet."))
    return settled[-1]


def share_lags(share: Share) -> bool:
    """Return whether the conversation has continued, or shows another branch."""
    return not share.single and Tree(share.conversation).current != share.last_id


def share_end(*, conversation: Conversation, message: Message | None = None, actor: UUID | None) -> None:
    subject = f"message:{message.id}" if message else f"conversation:{conversation.id}"
    with transaction.atomic():
        share = share_of(conversation, message)
        record("share.ended", actor=actor, subject=subject, share=str(share.id))
        share.delete()


def messages_shared(share: Share, principal: Principal) -> list[ShownMessage]:
    """Return the messages as far as the reader may read the documents behind them."""
    seen = (
        [load_shown_message(share.last, principal)]
        if share.single
        else load_path_to(share.conversation, share.last_id, principal)
    )
    read = {document for each in seen for document in prompted_documents(each.message.trace)}
    open_now = documents_for(principal, attached=True).filter(pk__in=read)
    readable = set(open_now.values_list("pk", flat=True))
    redacted = [_redact_for_reader(each, readable) for each in seen]
    if share.conversation.user_id == principal.user:
        return redacted
    return [_hide_counts(each) for each in redacted]


def _hide_counts(shown: ShownMessage) -> ShownMessage:
    """Return a list of documents without Cairn's own sentences: they count all that the asker may read."""
    message = shown.message
    if shown.withheld or message.trace.get("intent") not in _COUNTING:
        return shown
    message.trace = {**message.trace, "library_query": ""}
    items = [line for line in shown.answer.splitlines() if line.startswith(LIST_ITEM)]
    return replace(shown, answer="\n".join(items))


def _redact_for_reader(shown: ShownMessage, readable: Collection[UUID]) -> ShownMessage:
    """Return the message without anything about documents that the reader may not read; not to be saved."""
    message, open_to_them = shown.message, _open(shown.message, readable)
    shown = replace(shown, spelling=())  # like the standalone question, it may repeat what isn't shared
    if not open_to_them:  # why there was no answer says what the passages found speak of
        message.reason, message.parts = "", []
        shown = replace(shown, reason="")
    if shown.state == MessageState.RUNNING:
        return replace(shown, answer="", sentences=[], citations=[])
    if shown.withheld or (_has_untraced_text(message) and not open_to_them):
        return replace(shown, answer=gettext(NOT_OPEN), sentences=[], citations=[], nearest=[], withheld=True)
    return replace(shown, sentences=[each for each in shown.sentences if _is_shown(each, shown.answer)])


def _is_shown(sentence: Mapping[str, object], answer: str) -> bool:
    """Return whether the sentence was not left out of the answer."""
    return bool(sentence["supported"]) or str(sentence["text"]) in answer


def _has_untraced_text(message: Message) -> bool:
    """Return whether it has uncited text, which may come from anything in the prompt."""
    if message.answer in {"", ERASED} or is_small_talk(message) or message.mode == AnswerMode.DECLINED:
        return False
    loose = message.mode != AnswerMode.EXTRACTIVE and has_uncited_text(message.answer, message.sentences)
    return loose or message.state != MessageState.DONE or not message.citations.all()


def _open(message: Message, readable: Collection[UUID]) -> bool:
    """Return whether all found documents are readable. Unknown ones are not."""
    read = prompted_documents(message.trace)
    return bool(read) and read.issubset(readable)


def share_continue(*, share: Share, principal: Principal) -> Conversation:
    """Start the reader's own conversation from a share, if all of it is open to them."""
    source = share.conversation
    assistant = usable_assistant(source, principal)
    thread = Conversation(
        user_id=principal.user,
        title=share_title(share),
        channel=Channel.CHAT,
        confined=source.confined,
        assistant=assistant,
        assistant_name=assistant.name if assistant else "",
    )
    # Also read inside the transaction: otherwise, content erased in between would be written again.
    with transaction.atomic():
        seen = messages_shared(share, principal)
        if any(each.withheld for each in seen):
            raise Conflict(
                gettext(
                    "You can’t continue this conversation because you don’t have "
                    "access to all of its documents."
                )
            )
        thread.save()
        ConversationBase.objects.bulk_create(
            ConversationBase(conversation=thread, knowledge_base=base)
            for base in source.bases.values_list("knowledge_base", flat=True)
        )
        if share.single:  # the question as understood may repeat earlier ones, which are not shared
            for each in seen:
                each.message.standalone_question = ""
        _copy(seen, thread)
        record(
            "share.continued", actor=principal.actor, subject=f"share:{share.id}", conversation=str(thread.id)
        )
    return thread


COPIED_FIELDS = ("question", "standalone_question", "verdict", "reason", "mode", "parts", "model", "trace")
"""Fields that a continued conversation copies; erasure finds cut-off answers by `trace`."""


COPIED_CITATION_FIELDS = (
    "marker", "document", "version", "chunk", "title", "page", "location", "section", "quote", "boxes",
    "links",
)  # fmt: skip


def _copy(seen: Sequence[ShownMessage], thread: Conversation) -> None:
    messages = [_copy_message(each, thread) for each in seen]
    for above, message in pairwise(messages):
        message.parent_id = above.id
    citations = [
        _copy_citation(citation, message)
        for each, message in zip(seen, messages, strict=True)
        for citation in each.citations
    ]
    Message.objects.bulk_create(messages)
    Citation.objects.bulk_create(citations)
    Conversation.objects.filter(pk=thread.pk).update(current=messages[-1])


def _copy_message(shown: ShownMessage, thread: Conversation) -> Message:
    settled = MessageState.STOPPED if shown.state == MessageState.RUNNING else shown.state
    return Message(
        conversation=thread,
        answer=shown.answer,
        state=settled,
        sentences=list(shown.sentences),
        nearest=list(shown.nearest),
        **{name: getattr(shown.message, name) for name in COPIED_FIELDS},
    )


def _copy_citation(citation: Citation, message: Message) -> Citation:
    return Citation(message=message, **{name: getattr(citation, name) for name in COPIED_CITATION_FIELDS})
