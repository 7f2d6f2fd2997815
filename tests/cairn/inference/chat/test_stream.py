import threading

import pytest

from cairn.errors import Unavailable
from cairn.inference.chat.text_stream import Channel, TextStream


def test_pieces_arrive_in_order() -> None:
    channel = Channel()
    for piece in ("a", "b"):
        channel.put(piece)
    channel.end()
    stream = TextStream(channel)
    assert list(stream) == ["a", "b"]
    assert list(stream) == []


def test_error_follows_its_preceding_pieces_once() -> None:
    channel = Channel()
    channel.put("a")
    channel.end(Unavailable("gone"))
    stream = TextStream(channel)
    assert next(stream) == "a"
    with pytest.raises(Unavailable, match="gone"):
        next(stream)
    assert list(stream) == []


def test_closing_frees_a_reader_that_waits() -> None:
    channel, read = Channel(), []
    stream = TextStream(channel)
    reader = threading.Thread(target=lambda: read.extend(stream))
    reader.start()
    stream.close()
    reader.join(60)
    assert not reader.is_alive()
    assert read == []


def test_closed_stream_reads_nothing() -> None:
    channel = Channel()
    channel.put("a")
    stream = TextStream(channel)
    stream.close()
    assert channel.closed
    assert list(stream) == []


def test_close_callback_is_called_once() -> None:
    channel, told = Channel(), []
    channel.on_close(lambda: told.append("closed"))
    stream = TextStream(channel)
    stream.close()
    stream.close()
    assert told == ["closed"]


def test_late_close_callback_is_called_immediately() -> None:
    channel, told = Channel(), []
    channel.close()
    channel.on_close(lambda: told.append("closed"))
    assert told == ["closed"]


def test_exited_or_dropped_stream_is_closed() -> None:
    left, dropped = Channel(), Channel()
    with TextStream(left):
        pass
    TextStream(dropped)
    assert left.closed
    assert dropped.closed
