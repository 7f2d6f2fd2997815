"""Server-sent events of a running answer, read from its row, whichever process writes it.

The request that asked gets its stream from `web.answer_stream`.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse

from cairn.access.scope import Principal
from cairn.access.selectors import reading_scope_for
from cairn.errors import Unavailable
from retrieval.conversations.services import ShownMessage, load_shown_message, message_follow, message_for
from retrieval.models import MessageState
from retrieval.search.hybrid_search import reload_hits
from web.api.framework.polling_stream import follow_with
from web.api.schemas import Hit, answers_of, citations_of, versions_of
from web.http.sse import frame

STREAMED: dict[str, Any] = {
    "description": "With `stream`: events `start`, `sources`, `waiting`, `delta`, `citation`, `done` and "
    "`error`",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
UNFINISHED_MESSAGE = "The answer couldn’t be completed."


def answer_follow(principal: Principal, message_id: str) -> StreamingHttpResponse:
    """Stream the events of an answer, starting with what has been written so far."""
    progress = _AnswerProgress(principal, message_id)
    return follow_with(principal, progress.load, progress.build_frames, over=_over)


def _over(now: ShownMessage) -> bool:
    return now.state != MessageState.RUNNING


class _AnswerProgress:
    """State of one subscriber. `text` and `markers` were sent; `principal` is as of the last query."""

    def __init__(self, principal: Principal, message: str) -> None:
        self._principal = principal
        self._message = message
        self._text = ""
        self._markers: set[int] = set()
        self._sources = False

    def load(self, principal: Principal) -> ShownMessage:
        self._principal = principal
        message = message_for(principal, self._message)
        message_follow(message)
        return load_shown_message(message, principal)

    def build_frames(self, before: ShownMessage | None, now: ShownMessage) -> Sequence[bytes]:
        frames = [] if before is not None else [_start(now)]
        if not now.withheld:
            frames += [
                *self._build_source_frames(now),
                *self._build_citation_frames(now),
                *self._build_delta_frames(now),
            ]
        return [*frames, _end(now)] if _over(now) else frames

    def _build_source_frames(self, now: ShownMessage) -> list[bytes]:
        scores = {UUID(hit["chunk"]): float(hit["score"]) for hit in now.message.trace.get("hits", ())}
        if self._sources or not scores:
            return []
        self._sources = True
        hits = reload_hits(reading_scope_for(self._principal), scores)
        return [frame("sources", [Hit.of(hit).model_dump() for hit in hits])]

    def _build_citation_frames(self, now: ShownMessage) -> list[bytes]:
        new = [each for each in now.citations if each.marker not in self._markers]
        self._markers |= {each.marker for each in new}
        return [frame("citation", each.model_dump()) for each in citations_of(new, versions_of(new))]

    def _build_delta_frames(self, now: ShownMessage) -> list[bytes]:
        """Return a delta, or nothing if the text was replaced: the last event has the whole answer."""
        sent, self._text = self._text, now.answer
        new = now.answer.removeprefix(sent)
        return [frame("delta", {"text": new})] if new and now.answer.startswith(sent) else []


def _start(now: ShownMessage) -> bytes:
    message = now.message
    return frame("start", {"id": str(message.id), "conversation": str(message.conversation_id)})


def _end(now: ShownMessage) -> bytes:
    if now.state == MessageState.FAILED:
        return frame("error", Unavailable(now.reason or UNFINISHED_MESSAGE).problem())
    return frame("done", answers_of([now])[0].model_dump())
