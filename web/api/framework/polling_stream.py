"""Server-sent event streams that report state changes by polling."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.db import DatabaseError
from django.http import StreamingHttpResponse
from pydantic import BaseModel

from cairn.access.scope import Principal
from cairn.db_connections import connections_release
from cairn.limits.concurrency import SlotLease, slot_take
from cairn.limits.rules import Measure, allowance_of
from web.api.framework.problems import as_cairn_error
from web.http.authentication import principal_again
from web.http.shutdown import draining
from web.http.sse import PING, PING_SECONDS, event_stream, frame

S = TypeVar("S")
T = TypeVar("T", bound=BaseModel)
LOOK_SECONDS = 0.5


def follow(
    principal: Principal,
    look: Callable[[Principal], T],
    *,
    event: str = "progress",
    over: Callable[[T], bool] = lambda _: False,
    slower: int = 1,
) -> StreamingHttpResponse:
    """Stream an event on every change. `slower` multiplies the polling interval of expensive queries."""

    def frames_for(before: T | None, now: T) -> Sequence[bytes]:
        return [] if now == before else [frame(event, now.model_dump(by_alias=True))]

    return follow_with(principal, look, frames_for, over=over, slower=slower)


def follow_with(
    principal: Principal,
    look: Callable[[Principal], S],
    frames_for: Callable[[S | None, S], Sequence[bytes]],
    *,
    over: Callable[[S], bool],
    slower: int = 1,
) -> StreamingHttpResponse:
    """Poll with the principal's current permissions until `over`. `frames_for` gets the previous state, which
    is None at first, and the new one.
    """
    shown = look(principal)
    lease = slot_take(principal, allowance_of(principal), Measure.FOLLOWED_AT_ONCE)
    frames = _frames(principal, look, frames_for, shown, over, slower * LOOK_SECONDS, lease)
    return event_stream(_stream_and_release(frames, lease))


async def _stream_and_release(frames: AsyncGenerator[bytes, None], lease: SlotLease) -> AsyncIterator[bytes]:
    try:
        async with aclosing(frames):
            async for each in frames:
                yield each
    finally:
        with suppress(DatabaseError):  # the lease expires on its own
            await sync_to_async(lease.release)()


async def _frames(
    principal: Principal,
    look: Callable[[Principal], S],
    frames_for: Callable[[S | None, S], Sequence[bytes]],
    shown: S,
    over: Callable[[S], bool],
    pause: float,
    lease: SlotLease,
) -> AsyncGenerator[bytes, None]:
    for each in await _frames_between(frames_for, None, shown):
        yield each
    quiet = 0.0
    while not over(shown) and not draining.is_set():  # who follows comes again, to a process that stays
        try:
            await _pause(principal, pause)
            now = await _look(principal, look, lease)
            news = await _frames_between(frames_for, shown, now)
        except Exception as error:  # noqa: BLE001 the stream is the request's outermost boundary
            yield frame("error", as_cairn_error(error).problem())
            return
        quiet = 0.0 if news else quiet + pause
        for each in news:
            yield each
        if quiet >= PING_SECONDS:
            yield PING
            quiet = 0.0
        shown = now


async def _pause(principal: Principal, seconds: float) -> None:
    """Wait for the next poll. Raises NotSignedIn within a second after the principal lost access."""
    for _ in range(round(seconds / LOOK_SECONDS) - 1):
        await asyncio.sleep(LOOK_SECONDS)
        await _check_admitted(principal)
    await asyncio.sleep(LOOK_SECONDS)


@sync_to_async
def _check_admitted(principal: Principal) -> None:
    try:
        principal_again(principal)
    finally:
        connections_release()


@sync_to_async
def _frames_between(
    frames_for: Callable[[S | None, S], Sequence[bytes]], before: S | None, now: S
) -> Sequence[bytes]:
    try:
        return frames_for(before, now)
    finally:
        connections_release()


@sync_to_async
def _look(principal: Principal, look: Callable[[Principal], S], lease: SlotLease) -> S:
    try:
        if lease.due:
            lease.renew()
        return look(principal_again(principal))
    finally:
        connections_release()
