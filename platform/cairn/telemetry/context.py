"""Ids of the current request, job and answer of this thread, for logs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

_T = TypeVar("_T")
_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default={})  # noqa: B039 - never changed in place


def current_ids() -> Mapping[str, str]:
    return _ids.get()


@contextmanager
def bind_ids(**ids: object) -> Iterator[None]:
    """`request_id`, `job_id` or `answer_id`, beside those that are bound already."""
    token = _ids.set({**_ids.get(), **{name: str(value) for name, value in ids.items()}})
    try:
        yield
    finally:
        _ids.reset(token)


class BoundWhile(Iterator[_T]):
    """Binds ids while an iterator computes its next item, in any thread, but not in between."""

    def __init__(self, events: Iterator[_T], **ids: object) -> None:
        self._events = events
        self._ids = ids

    def __next__(self) -> _T:
        with bind_ids(**self._ids):
            return next(self._events)

    def close(self) -> None:
        with bind_ids(**self._ids):
            close_iterator(self._events)


def close_iterator(events: Iterator[object]) -> None:
    close = getattr(events, "close", None)
    if close is not None:
        close()
