"""Asking: the whole answer at once, or as it is written."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing
from functools import partial
from typing import Annotated, TypeVar

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router
from pydantic import BaseModel, Field

from cairn.access.scope import Principal
from cairn.errors import NotSignedIn
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
    principal = principal_of(request)
    exchange = await sync_to_async(_begin)(principal, payload)
    left = partial(asking.stop, exchange.message)
    if payload.stream:
        frames = from_thread(_frames(exchange, principal), left=left, idle_seconds=LOOK_SECONDS)
        return event_stream(_with_pings(_while_let_in(principal, frames)))
    return await _whole(exchange, principal, left)


def _begin(principal: Principal, payload: Question) -> Exchange:
    if payload.model not in {None, "cairn"} and payload.model != engine().chat.name:
        raise invalid_field("body", "model", message="There is no such model here")
    return asking.ask(
        principal=principal,
        question=payload.question,
        knowledge_bases=payload.knowledge_bases,
        filters=payload.filters.as_filters(),
        conversation=payload.conversation,
    )


async def _whole(exchange: Exchange, principal: Principal, left: Callable[[], object]) -> Answer:
    outcomes = from_thread(_outcome(exchange, principal), left=left, idle_seconds=LOOK_SECONDS)
    async with aclosing(_while_let_in(principal, outcomes)) as let_in:
        async for answer in let_in:
            if answer is not None:
                return answer
    raise AssertionError("an exchange ends with an answer or raises")


def _outcome(exchange: Exchange, principal: Principal) -> Generator[Answer | None, None, None]:
    """None at each event, so that a reader who has left is noticed there."""
    try:
        for event in exchange.events:
            if isinstance(event, Failed):
                raise error_coded(event.code, event.message)
            yield None
    finally:
        _close(exchange)
    yield _answer(exchange.message, principal)


async def _while_let_in(
    principal: Principal, items: AsyncGenerator[T | None, None]
) -> AsyncGenerator[T | None, None]:
    """Raises NotSignedIn soon after who asked has been shut out, which stops the model."""
    looked = time.monotonic()
    async with aclosing(items):
        async for item in items:
            if time.monotonic() - looked >= LOOK_SECONDS:
                await sync_to_async(principal_again)(principal)
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


def _frames(exchange: Exchange, principal: Principal) -> Generator[bytes, None, None]:
    message = exchange.message
    yield frame("start", {"id": str(message.id), "conversation": str(message.conversation_id)})
    try:
        for event in exchange.events:
            if isinstance(event, Failed):
                raise error_coded(event.code, event.message)
            yield from _frames_of(event)
        yield _frame("done", _answer(message, principal))
    except Exception as error:  # noqa: BLE001 the stream is the request's outermost boundary
        yield frame("error", problem_data(as_cairn_error(error)))
    finally:
        _close(exchange)


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


def _close(exchange: Exchange) -> None:
    if isinstance(exchange.events, Generator):
        exchange.events.close()
