"""Questions to ask next, below a message."""

from typing import Final

from cairn.access.scope import Principal
from cairn.access.selectors import parse_id
from retrieval.conversations.services import ShownMessage
from retrieval.conversations.small_talk import is_small_talk
from retrieval.suggestions.follow_ups import follow_ups_after
from retrieval.suggestions.services import suggestions_for

MAX_NEXT: Final = 3


def suggestions_after(principal: Principal, shown: ShownMessage) -> list[str]:
    """Return up to three questions that documents answer which the principal may read now.

    These are examples after small talk, and follow-up questions after an answer.
    """
    message = shown.message
    if not is_small_talk(message):
        return follow_ups_after(principal, shown, MAX_NEXT)
    chosen = message.chosen_knowledge_bases
    bases = None if chosen is None else [parse_id(base) for base in chosen]
    language = str(message.trace.get("language", ""))
    return suggestions_for(principal, bases=bases, language=language)[:MAX_NEXT]
