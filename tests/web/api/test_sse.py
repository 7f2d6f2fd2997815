"""Framing, and the bridge from blocking generators to the event loop."""

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import aclosing

import pytest

from web.http.sse import event_stream, frame, from_thread


class Script:
    """A blocking generator that records its end. `hold` delays its second item."""

    def __init__(self, *items: str, error: Exception | None = None, is_delayed: bool = False) -> None:
        self.items = items
        self.error = error
        self.pulled: list[str] = []
        self.closed = threading.Event()
        self.hold = threading.Event()
        if not is_delayed:
            self.hold.set()

    def __iter__(self) -> Generator[str, None, None]:
        try:
            for number, item in enumerate(self.items):
                if number:
                    assert self.hold.wait(10)
                self.pulled.append(item)
                yield item
            if self.error:
                raise self.error
        finally:
            self.closed.set()


async def until_set(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def until_ended(name: str) -> None:
    """Wait for threads of this name, whose last log record would otherwise reach the next test."""
    for thread in threading.enumerate():
        if thread.name == name:
            await asyncio.to_thread(thread.join, 10)


def test_sse_frame_is_one_event_for_any_text() -> None:
    sent = frame("delta", {"text": "a\n\nevent: done\r\ndata: x\u2028\ud800"})
    assert sent.startswith(b"event: delta\ndata: ")
    assert sent.endswith(b"\n\n")
    assert sent.count(b"\n") == 3
    assert b"\r" not in sent
    assert json.loads(sent.splitlines()[1].removeprefix(b"data: "))["text"].startswith("a\n\nevent")


async def test_event_stream_disables_caching_compression_and_buffering() -> None:
    response = event_stream(aiter_of(frame("done", {})))
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-cache, no-transform"
    assert response["X-Accel-Buffering"] == "no"
    assert response["Content-Encoding"] == "identity"
    assert [part async for part in response] == [frame("done", {})]


async def aiter_of(*parts: bytes):  # type: ignore[no-untyped-def]  # an async generator
    for part in parts:
        yield part


async def test_stream_preserves_order_and_closes_the_generator() -> None:
    script = Script("a", "b", "c")
    assert [item async for item in from_thread(iter(script))] == ["a", "b", "c"]
    await until_set(script.closed)


async def test_disconnect_callback_is_not_called_for_a_complete_stream() -> None:
    left: list[str] = []
    async for _ in from_thread(iter(Script("a", "b")), left=lambda: left.append("left")):
        pass
    assert left == []


async def test_error_is_raised_after_preceding_items() -> None:
    seen: list[str | None] = []

    async def read() -> None:
        async for item in from_thread(iter(Script("a", error=ValueError("broken")))):
            seen.append(item)  # noqa: PERF401 what came before the error is wanted

    with pytest.raises(ValueError, match="broken"):
        await read()
    assert seen == ["a"]


async def test_generator_runs_ahead_only_to_the_buffer_size() -> None:
    script = Script(*"abcdefgh")
    items = from_thread(iter(script), size=2)
    async with aclosing(items):
        assert await anext(items) == "a"
        for _ in range(200):
            await asyncio.sleep(0)
            if len(script.pulled) > 4:
                break
        assert len(script.pulled) <= 4
    await until_set(script.closed)
    assert len(script.pulled) <= 4


async def test_idle_stream_yields_none() -> None:
    script = Script("a", "b", is_delayed=True)
    items = from_thread(iter(script), idle_seconds=0.01)
    async with aclosing(items):
        assert [await anext(items) for _ in range(3)] == ["a", None, None]
        script.hold.set()
        following = [item async for item in items if item is not None]
    assert following == ["b"]


async def test_disconnect_stops_the_generator_at_its_next_item() -> None:
    script, left = Script("a", "b", "c", is_delayed=True), threading.Event()
    items = from_thread(iter(script), left=left.set)
    async with aclosing(items):
        assert await anext(items) == "a"
    await until_set(left)
    assert not script.closed.is_set()
    script.hold.set()
    await until_set(script.closed)
    assert script.pulled == ["a", "b"]


async def test_cancelled_reader_stops_the_generator() -> None:
    script, left = Script("a", "b", is_delayed=True), threading.Event()
    reading = asyncio.Event()

    async def read() -> None:
        async for _ in from_thread(iter(script), left=left.set):
            reading.set()

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_set(left)
    script.hold.set()
    await until_set(script.closed)


async def test_error_in_the_disconnect_callback_is_hidden_from_the_reader(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = threading.Event()

    def left() -> None:
        told.set()
        raise RuntimeError("unreachable")

    items = from_thread(iter(Script("a", "b")), left=left)
    async with aclosing(items):
        await anext(items)
    await until_set(told)
    await until_ended("reader-left")
    assert "cannot record that the client disconnected" in caplog.text


async def test_error_after_a_disconnect_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    script, finished = Script("a", "b", error=ValueError("broken"), is_delayed=True), threading.Event()
    items = from_thread(iter(script), finish=finished.set, drains=True)
    async with aclosing(items):
        assert await anext(items) == "a"
    script.hold.set()
    await until_set(finished)
    await until_ended("event-stream")
    assert script.pulled == ["a", "b"]
    [logged] = [record for record in caplog.records if record.name == "web.http.sse"]
    assert logged.exc_info is not None
    assert isinstance(logged.exc_info[1], ValueError)
