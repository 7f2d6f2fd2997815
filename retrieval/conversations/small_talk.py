"""Replies to small talk, as messages of a conversation that nothing was searched, written or counted for."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import get_language

from cairn.access.scope import Principal, Scope
from cairn.access.selectors import scope_for
from cairn.answers import AnswerMode
from cairn.library.models import KnowledgeBase
from retrieval.answering.text.refusals import REPLY_LANGUAGES
from retrieval.answering.text.small_talk import SmallTalk, TalkKind, recognise_small_talk
from retrieval.answering.text.small_talk_replies import (
    lists_knowledge_bases,
    render_knowledge_bases,
    render_reply,
)
from retrieval.models import Message, MessageState
from retrieval.types import AnswerEvent, Delta, Started


def small_talk_in(question: str) -> SmallTalk | None:
    """Return what the question is about if it is small talk. A phrase of several languages counts as one of
    the reader's interface."""
    return recognise_small_talk(question, (get_language() or "").partition("-")[0])


def build_reply_columns(talk: SmallTalk, scope: Scope) -> dict[str, Any]:
    """Return the columns of a message that is already answered.

    The names of knowledge bases are not stored: they are added for each reader, from what they may read then.
    """
    return {
        "state": MessageState.DONE,
        "mode": AnswerMode.SMALL_TALK,
        "answer": render_reply(talk),
        "trace": {
            "small_talk": talk.kind.value,
            "language": talk.language,
            "knowledge_bases": sorted(map(str, scope.readable)),
            "whole": scope.whole,
        },
        "alive_at": timezone.now(),
    }


def is_small_talk(message: Message) -> bool:
    return message.mode == AnswerMode.SMALL_TALK


def render_small_talk(message: Message, principal: Principal) -> str:
    """Render the reply for a reader, with the names of the knowledge bases that they can ask now."""
    talk = _load_talk(message)
    if talk is None:
        return message.answer
    if not lists_knowledge_bases(talk.kind):
        return render_reply(talk)
    bases = KnowledgeBase.objects.filter(pk__in=scope_for(principal).readable)
    names = list(bases.order_by("name", "id").values_list("name", flat=True))
    return f"{render_reply(talk)} {render_knowledge_bases(names, talk.language)}"


def _load_talk(message: Message) -> SmallTalk | None:
    kind = next((each for each in TalkKind if each == message.trace.get("small_talk")), None)
    language = next((each for each in REPLY_LANGUAGES if each == message.trace.get("language")), None)
    return SmallTalk(kind, language) if kind and language else None


class SmallTalkReply(Iterator[AnswerEvent]):
    """The events of a reply, which is already stored."""

    documents: frozenset[UUID] = frozenset()

    def __init__(self, message: Message, principal: Principal) -> None:
        events = (Started(message.question), Delta(render_small_talk(message, principal)))
        self._events: Iterator[AnswerEvent] = iter(events)

    def __next__(self) -> AnswerEvent:
        return next(self._events)

    def close(self) -> None:
        self._events = iter(())
