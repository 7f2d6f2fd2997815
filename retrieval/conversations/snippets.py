"""Snippets of history search: the words around a hit, with the hit marked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db.models import OuterRef, Subquery

from cairn.access.scope import Principal
from cairn.hidden_characters import visible
from retrieval.conversations.search import find_matching_messages
from retrieval.conversations.services import messages_open
from retrieval.models import Conversation, Message, MessageState

BEFORE = 40
AFTER = 100
"""Characters around the first hit."""
_MARKUP = re.compile(
    r"^(?:>[ \t]?)+(?:#{1,6}\s)?|^#{1,6}\s|(?<!\\)(?:\*\*|__|`|\s?\[\d+\])|\\(?=[!-/:-@[-`{-~])",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text; `is_hit` if it matches the query."""

    text: str
    is_hit: bool


@dataclass(frozen=True, slots=True)
class Snippet:
    """The words around the first hit in a question or an answer of a conversation."""

    message: UUID
    field: Literal["question", "answer"]
    spans: tuple[Span, ...]


def find_snippets(
    principal: Principal, conversations: Sequence[Conversation], query: str
) -> dict[UUID, Snippet]:
    """Return a snippet for each of these conversations with a hit in a question or an answer.

    Answers that the principal may not read now have none.
    """
    text = query.strip()
    if not text or not conversations:
        return {}
    matching = find_matching_messages(principal, text).filter(conversation=OuterRef("pk"))
    first = Subquery(matching.order_by("created_at", "id").values("id")[:1])
    chosen = Conversation.objects.filter(pk__in=[row.pk for row in conversations])
    ids = chosen.annotate(hit=first).order_by().values_list("hit", flat=True)
    messages = list(Message.objects.filter(pk__in=list(ids)).prefetch_related("citations"))
    readable = {message.pk for message in messages_open(messages, principal)}
    found = {
        message.conversation_id: _build_snippet(message, text, may_quote=message.pk in readable)
        for message in messages
    }
    return {conversation: snippet for conversation, snippet in found.items() if snippet}


def mark_hits(text: str, query: str) -> tuple[Span, ...]:
    """Split the text into hits and the text between them."""
    if not query:
        return (Span(text, is_hit=False),)
    return tuple(_split(text, re.compile(re.escape(query), re.IGNORECASE)))


def _split(text: str, pattern: re.Pattern[str]) -> Iterator[Span]:
    end = 0
    for hit in pattern.finditer(text):
        if hit.start() > end:
            yield Span(text[end : hit.start()], is_hit=False)
        yield Span(hit.group(), is_hit=True)
        end = hit.end()
    if end < len(text):
        yield Span(text[end:], is_hit=False)


def _build_snippet(message: Message, query: str, *, may_quote: bool) -> Snippet | None:
    excerpt = _cut_out(message.question, query)
    if excerpt:
        return Snippet(message.id, "question", mark_hits(excerpt, query))
    if not may_quote or message.state != MessageState.DONE:
        return None
    excerpt = _cut_out(_MARKUP.sub("", message.answer), query) or _cut_out(message.answer, query)
    return Snippet(message.id, "answer", mark_hits(excerpt, query)) if excerpt else None


def _cut_out(text: str, query: str) -> str:
    """Return the words around the first hit on one line, "" if there is none."""
    line = " ".join(visible(text).split())
    hit = re.search(re.escape(query), line, re.IGNORECASE)
    if hit is None:
        return ""
    start, end = max(hit.start() - BEFORE, 0), min(hit.end() + AFTER, len(line))
    before, after = line[start : hit.start()], line[hit.end() : end]
    if start:  # without the half of a word
        before = "…" + before.partition(" ")[2]
    if end < len(line):
        after = after.rpartition(" ")[0] + "…"
    return before + hit.group() + after
