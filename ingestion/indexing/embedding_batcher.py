"""Batch texts of all jobs in this process for the encoder.

Encoders are fast when many texts of similar length are encoded together, and documents are small. Jobs
therefore queue their texts by length, and each call to the encoder takes those that fit together.
"""

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import numpy as np

from cairn.errors import TransientError, Unavailable
from cairn.inference.protocols import Batching, Embedder, Vectors
from cairn.telemetry.metrics import counting_model_failures

Watch = Callable[[int], None]
"""Called now and then with how many texts are done; what it raises gives up the rest."""

_LOOK_SECONDS: Final = 0.25
_MOST_PADDING: Final = 1 / 48  # of a full batch: padding costs as much as text, and more than another call
_NEGLIGIBLE: Final = 64  # tokens, about the overhead of a call
_END_SECONDS: Final = 2.0  # a served model may take longer to answer than a process has to end


def _ignore_progress(_done: int) -> None:
    pass


@dataclass(eq=False, slots=True)
class _Order:
    """The texts of one job. `vectors` has a row for each text; `waiting` has the queued ones by number."""

    vectors: Vectors
    open: int
    waiting: dict[int, "_Place"] = field(default_factory=dict)
    error: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def fill(self, texts: Sequence["_Text"], vectors: Vectors) -> None:
        self.vectors[[text.row for text in texts]] = vectors
        self.open -= len(texts)
        if not self.open:
            self.ended.set()

    def fail(self, error: Exception) -> None:
        self.error = self.error or error
        self.ended.set()

    @property
    def done(self) -> int:
        return len(self.vectors) - self.open


@dataclass(eq=False, frozen=True, slots=True)
class _Text:
    order: _Order
    row: int
    text: str


_Place = tuple[int, int, _Text]
"""Tokens, a number that no other text has, and the text: sorts by length."""


class _Shelf:
    """Queued texts by length. Orders take turns in choosing the text that must go next."""

    def __init__(self) -> None:
        self._places: list[_Place] = []
        self._orders: deque[_Order] = deque()
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._places)

    def put(self, order: _Order, texts: Sequence[str], tokens: Sequence[int]) -> None:
        places = [
            (size, next(self._numbers), _Text(order, row, text))
            for row, (size, text) in enumerate(zip(tokens, texts, strict=True))
        ]
        order.waiting.update((place[1], place) for place in places)
        self._orders.append(order)
        self._places.extend(places)
        self._places.sort(key=_by_length)

    def take(self, batching: Batching) -> list[_Text]:
        """Take the text that is next in turn and its nearest neighbours in length that fit the batch."""
        order = self._orders[0]
        self._orders.rotate(-1)
        next_place = next(iter(order.waiting.values()))
        at = bisect_left(self._places, next_place[:2], key=_by_length)
        start, end = _choose_range(self._places, at, batching)
        taken = self._places[start:end]
        del self._places[start:end]
        for _, number, text in taken:
            del text.order.waiting[number]
        for emptied in {text.order for _, _, text in taken if not text.order.waiting}:
            self._orders.remove(emptied)
        return [text for _, _, text in taken]

    def withdraw(self, order: _Order) -> None:
        if order.waiting:
            self._places = [place for place in self._places if place[2].order is not order]
            self._orders.remove(order)
            order.waiting.clear()

    def orders(self) -> list[_Order]:
        return list(self._orders)


def _by_length(place: _Place) -> tuple[int, int]:
    return place[0], place[1]


def _choose_range(places: Sequence[_Place], at: int, batching: Batching) -> tuple[int, int]:
    """Extend from `at` to the nearer neighbour as long as the padded texts fit in one batch."""
    start, end, sizes = at, at + 1, places[at][0]
    while end - start < batching.texts:
        shortest, longest = places[start][0], places[end - 1][0]
        below = places[start - 1][0] if start else None
        above = places[end][0] if end < len(places) else None
        upward = above is not None and (below is None or above - longest <= shortest - below)
        added = above if upward else below
        if added is None or not _fits(max(longest, added), sizes + added, end - start + 1, batching):
            break
        sizes += added
        start, end = (start, end + 1) if upward else (start - 1, end)
    return start, end


def _fits(longest: int, sizes: int, count: int, batching: Batching) -> bool:
    padded = (longest + batching.extra) * count
    wasted = longest * count - sizes
    return padded <= batching.tokens and (wasted <= batching.tokens * _MOST_PADDING or padded <= _NEGLIGIBLE)


class Batcher:
    """Thread-safe batching of texts. Urgent texts go first; no call waits for a full batch."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._changed = threading.Condition()
        self._urgent, self._bulk = _Shelf(), _Shelf()
        self._threads: list[threading.Thread] = []
        self._batching: Batching | None = None
        self._closed = False

    def embed(
        self,
        texts: Sequence[str],
        *,
        tokens: Sequence[int],
        urgent: bool = False,
        watch: Watch = _ignore_progress,
    ) -> Vectors:
        """Embed texts; return shape (len(texts), dimension). `tokens` are counted by the embedder.

        Raises what the encoder raises for these texts, what `watch` raises, and Unavailable once closed.
        """
        shelf = self._urgent if urgent else self._bulk
        order = _Order(np.empty((len(texts), self.embedder.dimension), np.float32), len(texts))
        if not texts:
            return order.vectors
        with self._changed:
            self._start()
            shelf.put(order, texts, tokens)
            self._changed.notify_all()
        try:
            while not order.ended.wait(_LOOK_SECONDS):
                watch(order.done)
        finally:
            with self._changed:
                shelf.withdraw(order)
        if order.error is not None:
            raise order.error
        return order.vectors

    @property
    def waiting(self) -> int:
        """Number of texts that no call to the encoder has taken yet."""
        return len(self._urgent) + len(self._bulk)

    def close(self) -> None:
        """Stop after the batches being encoded. Waiting callers get Unavailable."""
        with self._changed:
            self._closed = True
            for order in (*self._urgent.orders(), *self._bulk.orders()):
                order.fail(_shutting_down())
            self._changed.notify_all()
            threads = list(self._threads)
        give_up = time.monotonic() + _END_SECONDS
        for thread in threads:
            thread.join(max(0.0, give_up - time.monotonic()))

    def _start(self) -> None:
        if self._closed:
            raise _shutting_down()
        if self._batching is None:
            self._batching = self.embedder.batching
            for _ in range(self._batching.at_once):
                thread = threading.Thread(
                    target=self._run, args=(self._batching,), name="embedding", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _run(self, batching: Batching) -> None:
        while texts := self._next(batching):
            self._encode(texts)

    def _next(self, batching: Batching) -> list[_Text]:
        """Return the next batch, or an empty list once closed."""
        with self._changed:
            while not self._closed:
                if shelf := self._urgent or self._bulk:
                    return shelf.take(batching)
                self._changed.wait()
        return []

    def _encode(self, texts: list[_Text]) -> None:
        """Encode a batch. Transient errors fail all of it; after others, each order is encoded alone."""
        try:
            vectors = self._vectors(texts)
        except TransientError as error:
            self._fail(texts, error)
        except Exception as error:  # noqa: BLE001 - the boundary of a thread: the job concerned raises it
            shares = _rows_by_order(texts).values()
            if len(shares) == 1:
                self._fail(texts, error)
                return
            for rows in shares:
                self._encode([texts[row] for row in rows])
        else:
            self._deliver(texts, vectors)

    def _vectors(self, texts: Sequence[_Text]) -> Vectors:
        with counting_model_failures("embedding"):
            vectors = self.embedder.embed_documents([text.text for text in texts])
        if len(vectors) != len(texts):
            raise Unavailable("The embedding model didn't return one vector per text.")
        return vectors

    def _deliver(self, texts: Sequence[_Text], vectors: Vectors) -> None:
        with self._changed:
            for order, rows in _rows_by_order(texts).items():
                order.fill([texts[row] for row in rows], vectors[rows])

    def _fail(self, texts: Sequence[_Text], error: Exception) -> None:
        with self._changed:
            for order in {text.order for text in texts}:
                order.fail(error)


def _rows_by_order(texts: Sequence[_Text]) -> dict[_Order, list[int]]:
    found: dict[_Order, list[int]] = {}
    for row, text in enumerate(texts):
        found.setdefault(text.order, []).append(row)
    return found


def _shutting_down() -> Unavailable:
    return Unavailable("Cairn is shutting down")


_lock = threading.Lock()
_current: Batcher | None = None


def batcher(embedder: Embedder) -> Batcher:
    """Return the batcher of this process. It is replaced when the embedder changes."""
    global _current
    with _lock:
        before = _current
        if before is not None and before.embedder is embedder:
            return before
        found = _current = Batcher(embedder)
    if before is not None:
        before.close()
    return found


def has_waiting_texts() -> bool:
    """Return whether texts are queued for the encoder of this process."""
    current = _current  # it may have been closed by now
    return current is not None and current.waiting > 0


def close_batcher() -> None:
    """Close the batcher of this process. The next use creates another."""
    global _current
    with _lock:
        before, _current = _current, None
    if before is not None:
        before.close()
