"""Dispatch of messages that ask to list, find, summarise or compare documents; all others are questions."""

from collections.abc import Callable, Iterator
from typing import Final

from cairn.answers import Intent
from cairn.errors import CairnError
from retrieval.answering.protocols import FindVerified
from retrieval.answering.query.intents import IntentRequest, recognise_intent
from retrieval.intents.compare import compare
from retrieval.intents.composer import IntentContext
from retrieval.intents.find_document import find_document
from retrieval.intents.list_documents import list_documents
from retrieval.intents.summarise_document import summarise_document
from retrieval.types import AnswerEvent, Failed

Handler = Callable[[IntentContext], Iterator[AnswerEvent] | None]
"""Function that returns the events of an answer, or None if an ordinary answer serves better."""

_HANDLERS: Final[dict[Intent, Handler]] = {
    Intent.LIST: list_documents,
    Intent.FIND: find_document,
    Intent.SUMMARISE: summarise_document,
    Intent.COMPARE: compare,
}


def answer_by_intent(
    question: str,
    *,
    build_context: Callable[[IntentRequest], IntentContext],
    find_verified: FindVerified,
    answer_question: Callable[[], Iterator[AnswerEvent]],
) -> Iterator[AnswerEvent]:
    """Yield the events of what the message asks for. `answer_question` answers ordinary questions, and those
    with a verified answer."""
    request = recognise_intent(question)
    handler = _HANDLERS.get(request.intent)
    try:
        events = handler(build_context(request)) if handler and not find_verified(question) else None
        if events is not None:
            yield from events
            return
    except CairnError as error:
        yield Failed(error.code, error.message)
        return
    yield from answer_question()
