"""Stream of text from the thread that generates it to the one that reads it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Position in the model's queue, from 1."""

    number: int


Item = str | QueuePosition | BaseException | None


class Channel:
    """The generating side."""

    def __init__(self) -> None:
        self._items: SimpleQueue[Item] = SimpleQueue()
        self._closed = threading.Event()
        self._on_close: Callable[[], None] | None = None
        self._lock = threading.Lock()

    @property
    def closed(self) -> bool:
        """True after the reader has closed the stream: stop generating."""
        return self._closed.is_set()

    def put(self, piece: str) -> None:
        self._items.put(piece)

    def wait_at(self, place: int) -> None:
        """Report the position in the queue, before the answer has started."""
        self._items.put(QueuePosition(place))

    def end(self, error: BaseException | None = None) -> None:
        self._items.put(error)

    def get(self, seconds: float | None = None) -> Item:
        """Return the next item, or empty text after a timeout of `seconds`."""
        try:
            return self._items.get(timeout=seconds)
        except Empty:
            return ""

    def on_close(self, action: Callable[[], None]) -> None:
        """Call `action` in the thread that closes the stream, or at once if it is closed."""
        with self._lock:
            self._on_close = action
            late = self.closed
        if late:
            action()

    def close(self) -> None:
        with self._lock:
            if self.closed:
                return
            self._closed.set()
            action = self._on_close
        self.end()
        if action:
            action()


class TextStream(Iterator[str]):
    """Pieces of an answer as the model writes them.

    `place`: where it stands in the queue before the model, None once it is being written. `close` stops the
    model; it may be called from any thread, also while another waits for the next piece. A stream that is
    dropped closes itself.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._ended = False
        self.place: int | None = None

    def __next__(self) -> str:
        while not (piece := self._next()):
            pass
        return piece

    def with_pauses(self) -> Iterator[str]:
        """Yield the text, and an empty piece at each new position in the queue and after each second without
        text, so that the caller can check whether the answer is still needed."""
        with contextlib.suppress(StopIteration):
            while True:
                yield self._next(PAUSE_SECONDS)

    def _next(self, seconds: float | None = None) -> str:
        if self._ended or self._channel.closed:
            raise StopIteration
        item = self._channel.get(seconds)
        if isinstance(item, QueuePosition):
            self.place, item = item.number, ""
        if isinstance(item, str) and not self._channel.closed:
            self.place = None if item else self.place
            return item
        self._ended = True
        if isinstance(item, BaseException):
            raise item
        raise StopIteration

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # __init__ did not get that far
            self._channel.close()
