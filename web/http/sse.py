"""Server-sent events (text/event-stream): frames, and a bridge from blocking generators."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections
from django.http import StreamingHttpResponse

log = logging.getLogger(__name__)

T = TypeVar("T")
PING = b": ping\n\n"
PING_SECONDS = 15.0
QUEUE_SIZE = 64
MEDIA_TYPE = "text/event-stream"


def frame(event: str, data: Any) -> bytes:
    """Encode one event. `data` is JSON, which has no line breaks and fits one data line."""
    return f"event: {event}\ndata: {json.dumps(data, cls=DjangoJSONEncoder)}\n\n".encode()


def event_stream(frames: AsyncIterator[bytes]) -> StreamingHttpResponse:
    """Return a response that is neither cached, buffered nor compressed."""
    response = StreamingHttpResponse(frames, content_type=MEDIA_TYPE)
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Accel-Buffering"] = "no"
    response["Content-Encoding"] = "identity"
    return response


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class _End:
    pass


class _Idle:
    pass


class _Pump(Generic[T]):
    """Runs a generator in its own thread, at most `size` items ahead of the reader, then calls `finish`.
    `drains`: runs it to its end even without a reader.
    """

    def __init__(
        self, items: Generator[T, None, None], size: int, *, finish: Callable[[], object], drains: bool
    ) -> None:
        self._items = items
        self._finish = finish
        self._drains = drains
        self._loop = asyncio.get_running_loop()
        self._slots = threading.Semaphore(size)
        self._gone = threading.Event()
        self.queue: asyncio.Queue[T | _Raised | _End] = asyncio.Queue()

    def start(self) -> None:
        threading.Thread(target=self._run, name="event-stream", daemon=True).start()

    def free_slot(self) -> None:
        self._slots.release()

    def leave(self) -> None:
        """Handle a disconnect: close the generator at its next item, unless it is drained."""
        self._gone.set()
        self._slots.release()

    def _run(self) -> None:
        try:
            self._pull()
        except Exception as error:  # outermost boundary of the thread: the reader raises it
            if self._gone.is_set():
                log.error("error in an event stream after the client disconnected", exc_info=error)
            self._hand_over(_Raised(error))
        else:
            self._hand_over(_End())
        finally:
            connections.close_all()

    def _pull(self) -> None:
        with ExitStack() as ending:
            ending.callback(self._finish)
            ending.callback(self._items.close)
            for item in self._items:
                if not self._gone.is_set():
                    self._slots.acquire()
                if not self._gone.is_set():
                    self._hand_over(item)
                elif not self._drains:
                    return

    def _hand_over(self, item: T | _Raised | _End) -> None:
        with suppress(RuntimeError):  # the loop has been closed: the client has disconnected
            self._loop.call_soon_threadsafe(self.queue.put_nowait, item)


async def from_thread(
    items: Generator[T, None, None],
    *,
    left: Callable[[], object] = lambda: None,
    finish: Callable[[], object] = lambda: None,
    size: int = QUEUE_SIZE,
    idle_seconds: float = PING_SECONDS,
    drains: bool = False,
) -> AsyncGenerator[T | None, None]:
    """Yield items of a blocking generator, and None whenever nothing came for `idle_seconds`.

    On a disconnect, `left` is called in another thread and may block; the generator is closed at its next
    item, or with `drains` continues to its end. `finish` is called in the generator's thread after it ended
    in whichever way. Exceptions of both are raised here.
    """
    pump = _Pump(items, size, finish=finish, drains=drains)
    pump.start()
    ended = False
    try:
        while True:
            item = await _next_or_idle(pump.queue, idle_seconds)
            if isinstance(item, _End | _Raised):
                ended = True
                if isinstance(item, _Raised):
                    raise item.error
                return
            if isinstance(item, _Idle):
                yield None
            else:
                pump.free_slot()
                yield item
    finally:
        pump.leave()
        if not ended:
            threading.Thread(target=_call, args=(left,), name="reader-left", daemon=True).start()


async def _next_or_idle(queue: "asyncio.Queue[T]", seconds: float) -> T | _Idle:
    try:
        async with asyncio.timeout(seconds):
            return await queue.get()
    except TimeoutError:
        return _Idle()


def _call(left: Callable[[], object]) -> None:
    try:
        left()
    except Exception:
        log.exception("cannot record that the client disconnected")
    finally:
        connections.close_all()
