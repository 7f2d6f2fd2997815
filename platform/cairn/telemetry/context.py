"""Ids of the current request, job and answer of this thread, for logs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default={})  # noqa: B039 - never changed in place


def current_ids() -> Mapping[str, str]:
    return _ids.get()


@contextmanager
def bind_ids(**ids: object) -> Iterator[None]:
    """`request_id`, `job_id` or `answer_id`, in addition to those already bound."""
    token = _ids.set({**_ids.get(), **{name: str(value) for name, value in ids.items()}})
    try:
        yield
    finally:
        _ids.reset(token)


def close_iterator(events: Iterator[object]) -> None:
    close = getattr(events, "close", None)
    if close is not None:
        close()
