"""Asking: the whole answer at once, or as it is written."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router
from pydantic import BaseModel, Field

from cairn.access.scope import Principal
from cairn.errors import NotSignedIn
from cairn.limits.counting import question_count, tokens_count
from cairn.limits.rules import Allowance, allowance_of
from cairn.limits.slots import Lease, slot_take
from retrieval import asking
from retrieval.asking import Exchange
from retrieval.conversations import shown
from retrieval.engine import engine
from retrieval.models import Message
from retrieval.types import Cited, Delta, Failed, Sources
from web.api import fields
from web.api.fields import Body, Id
from web.api.problems import as_cairn_error, error_coded, invalid_field, problem_data
from web.api.schemas import Answer, Hit, answers_of, citations_of, versions_of
from web.api.search import FiltersIn
from web.auth import needs, principal_again, principal_of
from web.sse import PING, PING_SECONDS, event_stream, frame, from_thread

router = Router(tags=["Ask"])
T = TypeVar("T")
LOOK_SECONDS = 1.0
"""How often it is asked whether who asked may still come in."""
STREAMED = {
    "description": "With `stream`: events `start`, `sources`, `delta`, `citation`, `done`, `error`",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


class Question(Body):
    """`knowledge_bases` absent: all I may read. `conversation` goes on with one of mine; absent: a new
    one. `model` may name the one that is configured."""

    question: fields.Question
    knowledge_bases: Annotated[list[Id], Field(min_length=1, max_length=200)] | None = None
    filters: FiltersIn = FiltersIn()
    conversation: Id | None = None
    model: Annotated[str, Field(max_length=200)] | None = None
    stream: fields.Yes = False


@router.post("", response=Answer, auth=needs("ask"), openapi_extra={"responses": {200: STREAMED}})
async def ask(request: HttpRequest, payload: Question) -> Answer | StreamingHttpResponse:
    """An answer from passages I may read. Who goes away early stops the model."""
    asked = await sync_to_async(_begin)(principal_of(request), payload)
    left = partial(asking.stop, asked.message)
    if payload.stream:
        frames = from_thread(_frames(asked), left=left, idle_seconds=LOOK_SECONDS)
        return event_stream(_with_pings(_while_let_in(asked, frames)))
    return await _whole(asked, left)


@dataclass(frozen=True, slots=True)
class _Asked:
    """`lease`: one of the answers that may be written for the principal at once."""

    principal: Principal
    allowance: Allowance
    lease: Lease
    exchange: Exchange

    @property
    def message(self) -> Message:
        return self.exchange.message

    def look(self) -> None:
        """Now and then while it is written. Raises NotSignedIn for who has been shut out."""
        principal_again(self.principal)
        if self.lease.due:
            self.lease.keep()

    def close(self) -> None:
        """However it ended."""
        try:
            if isinstance(self.exchange.events, Generator):
                self.exchange.events.close()
            tokens_count(self.principal, self.allowance, _tokens(self.message))
        finally:
            self.lease.release()


def _tokens(message: Message) -> int:
    """Nothing is known of answers that were stopped or failed."""
    usage = Message.objects.values_list("usage", flat=True).filter(pk=message.pk).first() or {}
    return int(usage.get("prompt_tokens", 0)) + int(usage.get("completion_tokens", 0))


def _begin(principal: Principal, payload: Question) -> _Asked:
    if payload.model not in {None, "cairn"} and payload.model != engine().chat.name:
        raise invalid_field("body", "model", message="There is no such model here")
    allowance = allowance_of(principal)
    lease = slot_take(principal, allowance)
    try:
        question_count(principal, allowance)
        return _Asked(principal, allowance, lease, _exchange(principal, payload))
    except BaseException:
        lease.release()
        raise


def _exchange(principal: Principal, payload: Question) -> Exchange:
    return asking.ask(
        principal=principal,
        question=payload.question,
        knowledge_bases=payload.knowledge_bases,
        filters=payload.filters.as_filters(),
        conversation=payload.conversation,
    )


async def _whole(asked: _Asked, left: Callable[[], object]) -> Answer:
    outcomes = from_thread(_outcome(asked), left=left, idle_seconds=LOOK_SECONDS)
    async with aclosing(_while_let_in(asked, outcomes)) as let_in:
        async for answer in let_in:
            if answer is not None:
                return answer
    raise AssertionError("an exchange ends with an answer or raises")


def _outcome(asked: _Asked) -> Generator[Answer | None, None, None]:
    """None at each event, so that a reader who has left is noticed there."""
    try:
        for event in asked.exchange.events:
            if isinstance(event, Failed):
                raise error_coded(event.code, event.message)
            yield None
    finally:
        asked.close()
    yield _answer(asked.message, asked.principal)


async def _while_let_in(
    asked: _Asked, items: AsyncGenerator[T | None, None]
) -> AsyncGenerator[T | None, None]:
    """Raises NotSignedIn soon after who asked has been shut out, which stops the model."""
    looked = time.monotonic()
    async with aclosing(items):
        async for item in items:
            if time.monotonic() - looked >= LOOK_SECONDS:
                await sync_to_async(asked.look)()
                looked = time.monotonic()
            yield item


async def _with_pings(frames: AsyncGenerator[bytes | None, None]) -> AsyncIterator[bytes]:
    """`None` comes at each look; a ping goes out only when nothing else did for long."""
    spoke = time.monotonic()
    try:
        async with aclosing(frames):
            async for each in frames:
                if each is not None or time.monotonic() - spoke >= PING_SECONDS:
                    spoke = time.monotonic()
                    yield PING if each is None else each
    except NotSignedIn as error:
        yield frame("error", problem_data(error))


def _frames(asked: _Asked) -> Generator[bytes, None, None]:
    message = asked.message
    yield frame("start", {"id": str(message.id), "conversation": str(message.conversation_id)})
    try:
        for event in asked.exchange.events:
            if isinstance(event, Failed):
                raise error_coded(event.code, event.message)
            yield from _frames_of(event)
        yield _frame("done", _answer(message, asked.principal))
    except Exception as error:  # noqa: BLE001 the stream is the request's outermost boundary
        yield frame("error", problem_data(as_cairn_error(error)))
    finally:
        asked.close()


def _frames_of(event: object) -> Generator[bytes, None, None]:
    """Nothing for what only matters inside, such as the answer that is kept at the end."""
    match event:
        case Sources():
            yield frame("sources", [Hit.of(hit).model_dump() for hit in event.hits])
        case Delta():
            yield frame("delta", {"text": event.text})
        case Cited():
            cited = [event.citation]
            for citation in citations_of(cited, versions_of(cited)):
                yield _frame("citation", citation)


def _frame(event: str, data: BaseModel) -> bytes:
    return frame(event, data.model_dump())


def _answer(message: Message, principal: Principal) -> Answer:
    """As it has been kept, and as the principal may see it now."""
    kept = Message.objects.prefetch_related("citations").get(pk=message.pk)
    return answers_of([shown(kept, principal)])[0]
