"""Conversations of their owner: what was asked, and what may still be shown of the answers."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, OuterRef, Prefetch, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal, Scope
from cairn.access.selectors import get_or_not_found, parse_id
from cairn.answers import AnswerMode, Intent, Verdict
from cairn.audit.services import record
from cairn.errors import InvalidInput, NotFound
from retrieval.answering.query.intents import recognise_intent
from retrieval.answering.query.standalone import is_command, is_fragment
from retrieval.conversations.branches import Tree
from retrieval.conversations.redaction import cited_sentences, has_uncited_text, prompted_documents
from retrieval.conversations.small_talk import is_small_talk, render_small_talk, small_talk_in
from retrieval.gaps.recorder import rating_record
from retrieval.key_limits import conversations_within_limits
from retrieval.models import (
    Channel,
    Citation,
    Conversation,
    ConversationBase,
    ConversationQuerySet,
    Message,
    MessageState,
    Share,
)
from retrieval.statistics.services import question_rate
from retrieval.types import Turn

WITHHELD = gettext_noop(
    "This answer quotes a document that was changed or deleted, or that you can no longer access."
)
ERASED = gettext_noop("This answer was removed because a document it quoted was deleted.")
INTERRUPTED = gettext_noop("The server stopped before the answer was complete.")
ABANDONED_AFTER = timedelta(seconds=30)
"""Six times the interval between two heartbeats."""
HISTORY_TURNS = 3
HISTORY_LOOK = 12
FOLLOWED_EVERY = timedelta(seconds=5)
_CITED = Coalesce(
    Subquery(
        Citation.objects.filter(message=OuterRef("pk"))
        .order_by()
        .values("message")
        .annotate(count=Count("pk"))
        .values("count")
    ),
    0,
)
EXPIRES_AFTER = timedelta(hours=4)
"""How long after its last question a temporary conversation is deleted at the latest."""
CUT_OFF = frozenset({MessageState.STOPPED, MessageState.FAILED})
TITLE_LENGTH = 80


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message as its reader may see it now.

    `withheld`: text, quotes and titles are hidden. `siblings`: ids of all messages with the same parent, in
    order. `incomplete`: the answer was cut off. `spelling`: corrections with words of the documents found.
    """

    message: Message
    siblings: Sequence[UUID]
    answer: str
    sentences: Sequence[dict[str, Any]]
    citations: Sequence[Citation]
    nearest: Sequence[dict[str, object]]
    state: str
    reason: str
    incomplete: bool
    withheld: bool
    spelling: Sequence[dict[str, str]] = ()


def conversations_for(principal: Principal) -> ConversationQuerySet:
    """Return the principal's conversations; none for an admin who views as the user."""
    mine = conversations_within_limits(principal).filter(user=principal.user, channel=Channel.CHAT)
    return mine.none() if principal.viewer else mine.remaining()


def conversation_for(principal: Principal, value: object) -> Conversation:
    return get_or_not_found(conversations_for(principal), value)


def message_for(principal: Principal, value: object) -> Message:
    return get_or_not_found(Message.objects.filter(conversation__in=conversations_for(principal)), value)


def own_message(principal: Principal, message: object) -> Message:
    """Return a message of the principal, asked through any channel."""
    reachable = conversations_within_limits(principal).filter(user=principal.user).remaining()
    mine = Message.objects.filter(conversation__in=reachable)
    return get_or_not_found(mine.none() if principal.viewer else mine, message)


def conversation_start(
    *, principal: Principal, question: str, channel: Channel = Channel.CHAT
) -> Conversation:
    title = title_from(question)
    return Conversation.objects.create(user_id=principal.user, title=title, channel=channel)


def conversation_create(*, principal: Principal, temporary: bool) -> Conversation:
    """Create a conversation without a question. If nothing is asked in it, it expires."""
    return Conversation.objects.create(
        user_id=principal.user,
        title="",
        confined=True,
        temporary=temporary,
        expires_at=timezone.now() + EXPIRES_AFTER,
    )


def conversation_prolong(*, conversation: Conversation) -> None:
    """Record that something is asked: a temporary conversation lasts longer, any other is kept."""
    expires_at = timezone.now() + EXPIRES_AFTER if conversation.temporary else None
    Conversation.objects.filter(pk=conversation.pk).update(expires_at=expires_at)


def title_from(question: str) -> str:
    """Return the title that a conversation gets from its first question."""
    return _shorten(question.strip().splitlines()[0])


def conversation_follow_edit(*, conversation: Conversation, question: str) -> None:
    """Title the conversation by its first question, also an edited one. A title that was set by hand stays.

    Call it before the question is stored.
    """
    firsts = conversation.messages.filter(parent=None).values_list("question", flat=True)
    if not conversation.title or conversation.title in map(title_from, firsts):
        unchanged = Conversation.objects.filter(pk=conversation.pk, title=conversation.title)
        unchanged.update(title=title_from(question))


def conversation_confine(*, conversation: Conversation, scope: Scope, is_new: bool) -> None:
    """Record where a question was asked. Call it in the transaction that adds the question."""
    bases = scope.confined_to
    if bases is None or is_new:
        Conversation.objects.filter(pk=conversation.pk).update(confined=bases is not None)
    ConversationBase.objects.bulk_create(
        (ConversationBase(conversation=conversation, knowledge_base=base) for base in bases or ()),
        ignore_conflicts=True,
    )


def conversation_retitle_after_small_talk(*, conversation: Conversation, question: str) -> None:
    """Title a conversation that began with small talk by its first question. Call it before that is added."""
    is_first = not conversation.messages.exclude(mode=AnswerMode.SMALL_TALK).exists()
    if is_first and small_talk_in(conversation.title):
        Conversation.objects.filter(pk=conversation.pk).update(title=title_from(question))


def _shorten(text: str) -> str:
    return text if len(text) <= TITLE_LENGTH else text[: TITLE_LENGTH - 1].rstrip() + "…"


def conversation_rename(*, conversation: Conversation, title: str) -> Conversation:
    if not title.strip():
        raise InvalidInput(gettext_noop("Enter a title."))
    conversation.title = title.strip()[:200]
    conversation.save(update_fields=["title"])
    return conversation


def conversation_show(*, conversation: Conversation, message: object) -> Conversation:
    """Show the branch through the message, down to its latest question."""
    found = get_or_not_found(conversation.messages.all(), message)
    conversation.current_id = Tree(conversation).latest_below(found.id)
    conversation.save(update_fields=["current"])
    return conversation


def conversation_pin(*, conversation: Conversation, pinned: bool) -> Conversation:
    """Pin or unpin. A pinned conversation keeps its place when pinned again."""
    at = conversation.pinned_at or timezone.now()
    conversation.pinned_at = at if pinned else None
    conversation.save(update_fields=["pinned_at"])
    return conversation


def conversation_delete(*, conversation: Conversation, actor: UUID | None) -> None:
    with transaction.atomic():
        record("conversation.deleted", actor=actor, subject=f"conversation:{conversation.id}")
        conversation.delete()


def conversations_expire(days: int) -> int:
    """Delete conversations unused for this many days, none for 0; return how many."""
    if not days:
        return 0
    unused = Conversation.objects.filter(updated_at__lt=timezone.now() - timedelta(days=days))
    with transaction.atomic():
        count = unused.count()
        if count:
            unused.delete()
            record("conversations.expired", actor=None, conversations=count, days=days)
    return count


def expired_conversations_delete() -> int:
    """Delete conversations that have expired; return how many."""
    with transaction.atomic():
        expired = Conversation.objects.expired()
        count = expired.count()
        if count:
            expired.delete()
            record("conversations.expired", actor=None, conversations=count, temporary=True)
    return count


def message_feedback(*, message: Message, rating: str, reason: str = "", comment: str = "") -> Message:
    message.rating, message.rating_reason, message.rating_comment = rating, reason, comment
    with transaction.atomic():
        message.save(update_fields=["rating", "rating_reason", "rating_comment"])
        question_rate(message=message.pk, rating=rating)
        rating_record(message)
    return message


def message_feedback_remove(*, message: Message) -> Message:
    return message_feedback(message=message, rating="")


def message_follow(message: Message) -> None:
    """Record that the answer is being watched: it continues although its asker has left."""
    now = timezone.now()
    if message.followed_at is None or now - message.followed_at > FOLLOWED_EVERY:
        Message.objects.running().filter(pk=message.pk).update(followed_at=now)


def load_shown_path(
    conversation: Conversation, principal: Principal, *, before: object | None = None, last: int | None = None
) -> list[ShownMessage]:
    """Return the shown path, oldest first: at most `last` messages, above the message `before`."""
    tree = Tree(conversation)
    path = tree.path
    if before is not None:
        path = path[: _place(path, before)]
    return _load_shown_messages(path if last is None else path[-last:], tree, principal)


def load_path_to(conversation: Conversation, message: UUID, principal: Principal) -> list[ShownMessage]:
    """Return the path that ends with the message, whichever branch is shown."""
    tree = Tree(conversation)
    return _load_shown_messages(tree.path_to(message), tree, principal)


def _place(path: Sequence[UUID], message: object) -> int:
    """Return the position on the path. Raises NotFound."""
    try:
        return path.index(parse_id(message))
    except ValueError:
        raise NotFound from None


def load_all_branches(conversation: Conversation, principal: Principal) -> list[ShownMessage]:
    """Return all messages in the order in which they were asked."""
    ids = list(conversation.messages.order_by("created_at", "id").values_list("id", flat=True))
    return _load_shown_messages(ids, Tree(conversation), principal)


def load_shown_message(message: Message, principal: Principal) -> ShownMessage:
    """Return the message's current state. Raises NotFound if it is gone."""
    found = _load_shown_messages([message.id], Tree(message.conversation), principal)
    if not found:
        raise NotFound
    return found[0]


def _load_shown_messages(ids: Sequence[UUID], tree: Tree, principal: Principal) -> list[ShownMessage]:
    citations = Prefetch("citations", Citation.objects.select_related("document__knowledge_base"))
    rows = Message.objects.annotate(cited=_CITED).prefetch_related(citations).order_by().in_bulk(ids)
    messages = [rows[each] for each in ids if each in rows]
    for message in filter(is_small_talk, messages):
        message.answer = render_small_talk(message, principal)
    readable = _readable(messages, principal)
    return [_build_shown_message(each, tree, readable, cited=each.cited) for each in messages]  # type: ignore[attr-defined]  # annotated


def _readable(messages: Sequence[Message], principal: Principal) -> set[UUID]:
    """Return the documents that these messages use or name and the principal may read now."""
    named = {
        document
        for message in messages
        for document in _find_cited_documents(message) | prompted_documents(message.trace)
    }
    near = {UUID(str(item["document"])) for message in messages for item in message.nearest}
    return set(
        documents_for(principal, attached=True).filter(pk__in=named | near).values_list("pk", flat=True)
    )


def messages_open(messages: Iterable[Message], principal: Principal) -> list[Message]:
    """Return the messages whose answers are not withheld."""
    rows = list(messages)
    readable = _readable(rows, principal)
    return [message for message in rows if _grounds(message) <= readable]


def _find_cited_documents(message: Message) -> set[UUID]:
    return {citation.document_id for citation in message.citations.all()}


def _grounds(message: Message) -> set[UUID]:
    """Return the documents behind the answer: the cited ones and, if it was cut off or has uncited text, all
    that were in the prompt."""
    whole = message.state == MessageState.DONE and not has_uncited_text(message.answer, message.sentences)
    if whole or not message.answer:
        return _find_cited_documents(message)
    return _find_cited_documents(message) | prompted_documents(message.trace)


def _build_shown_message(message: Message, tree: Tree, readable: set[UUID], *, cited: int) -> ShownMessage:
    """Build the message without what may not be read.

    `cited`: number of citations when the text was read. They are read later, and a document may be erased in
    between: if there are fewer by then, the text is gone as well.
    """
    withheld = len(message.citations.all()) < cited or not _grounds(message) <= readable
    unread = not prompted_documents(message.trace) <= readable
    state = state_of(message)
    left = state == MessageState.FAILED and message.state == MessageState.RUNNING
    return ShownMessage(
        message,
        siblings=tree.siblings(message.id),
        answer=WITHHELD if withheld else message.answer,
        sentences=[] if withheld else cited_sentences(message.sentences) if unread else message.sentences,
        citations=[] if withheld else list(message.citations.all()),
        nearest=[item for item in message.nearest if UUID(str(item["document"])) in readable],
        state=state,
        reason=INTERRUPTED if left else message.reason,
        incomplete=state in CUT_OFF or bool(message.trace.get("broken_off")),
        withheld=withheld,
        spelling=[] if unread else message.trace.get("spelling", []),
    )


def state_of(message: Message) -> str:
    """Return the state. A running message without a heartbeat was left by a process that died."""
    abandoned = timezone.now() - message.alive_at > ABANDONED_AFTER
    return MessageState.FAILED if message.state == MessageState.RUNNING and abandoned else message.state


def history_for(conversation: Conversation, parent: UUID | None, principal: Principal) -> list[Turn]:
    """Return the last answered turns down to `parent`, oldest first, without what the principal may no longer
    read."""
    if parent is None:
        return []
    tree = Tree(conversation)
    path = tree.path_to(parent)
    answered = Message.objects.filter(pk__in=path[-HISTORY_LOOK:], state=MessageState.DONE)
    answered = answered.exclude(mode=AnswerMode.SMALL_TALK)
    ids = set(answered.values_list("id", flat=True))
    path = [each for each in path if each in ids]
    visible = [
        Turn(_question_in_context(item.message), item.answer)
        for item in _load_shown_messages(path, tree, principal)
        if not item.withheld and not _is_failed_command(item.message)
    ]
    return turns_with_subject(visible)


def turns_with_subject(turns: Sequence[Turn]) -> list[Turn]:
    """Return the last turns that a follow-up can take its subject from: "summarise it" has none."""
    return [turn for turn in turns if not _lacks_subject(turn.question)][-HISTORY_TURNS:]


def _lacks_subject(question: str) -> bool:
    request = recognise_intent(question)
    return (request.refers_back and not request.topic) or small_talk_in(question) is not None


def _is_failed_command(message: Message) -> bool:
    is_request = message.trace.get("intent", Intent.ASK) != Intent.ASK or is_command(message.question)
    return is_request and message.verdict == Verdict.REFUSED


def _question_in_context(message: Message) -> str:
    """Return the question, for a keyword with the question that it turned out to belong to."""
    return (is_fragment(message.question) and message.standalone_question) or message.question


def cited_document(message: Message, position: int) -> UUID | None:
    """Return a document that the nearest earlier answer with sources cites, counted from 1; the last for 0.
    Whether it may be read is for the caller to check."""
    earlier = message.parent
    for _ in range(HISTORY_LOOK):
        if earlier is None:
            return None
        cited = list(dict.fromkeys(earlier.citations.order_by("marker").values_list("document", flat=True)))
        if cited:
            return cited[position - 1] if position <= len(cited) else None
        earlier = earlier.parent
    return None


def forget_document(document: UUID) -> int:
    """Remove everything quoted from a document from all conversations; return how many quotes.

    Uncited text may come from it as well, if it was in the prompt.
    """
    with transaction.atomic():
        citations = Citation.objects.filter(document=document)
        count, gone = citations.count(), set(citations.values_list("message_id", flat=True))
        for message in _find_messages_that_may_repeat(document, but=gone):
            count += 1
            if _grounds(message) == _find_cited_documents(message):
                # The words that may come from it are not in the answer.
                Message.objects.filter(pk=message.pk).update(sentences=cited_sentences(message.sentences))
            else:
                gone.add(message.pk)
        threads = Conversation.objects.filter(messages__in=gone)
        Message.objects.filter(id__in=gone).update(answer=ERASED, sentences=[], trace={})
        # What a model made of a follow-up may repeat what it had read of the answer.
        Message.objects.filter(conversation__in=threads).update(standalone_question="")
        Citation.objects.filter(message__in=gone).delete()
        Share.objects.filter(conversation__in=threads).delete()
        for message in Message.objects.select_for_update().filter(nearest__icontains=str(document)):
            message.nearest = [item for item in message.nearest if item["document"] != str(document)]
            message.save(update_fields=["nearest"])
        _forget_corrections(document)
    return count


def _forget_corrections(document: UUID) -> None:
    """Remove corrected words from answers that found the document: they may be words of it."""
    for message in Message.objects.select_for_update().filter(trace__icontains=str(document)):
        if message.trace.pop("spelling", None):
            message.save(update_fields=["trace"])


def _find_messages_that_may_repeat(document: UUID, *, but: Collection[UUID]) -> list[Message]:
    """Return messages with uncited text that had the document in their prompt."""
    rows = Message.objects.select_for_update().filter(trace__icontains=str(document))
    return [
        message
        for message in rows.only("state", "answer", "sentences", "trace").iterator()
        if message.pk not in but and _has_untraced(message)
    ]


def _has_untraced(message: Message) -> bool:
    half = bool(message.answer) and message.state != MessageState.DONE
    return half or len(cited_sentences(message.sentences)) < len(message.sentences)
