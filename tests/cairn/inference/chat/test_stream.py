import threading

import pytest

from cairn.errors import Unavailable
from cairn.inference.chat.text_stream import Channel, TextStream


def test_pieces_arrive_in_order_and_end() -> None:
    channel = Channel()
    for piece in ("a", "b"):
        channel.put(piece)
    channel.end()
    stream = TextStream(channel)
    assert list(stream) == ["a", "b"]
    assert list(stream) == []


def test_an_error_comes_after_the_pieces_before_it_and_once() -> None:
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


def test_after_closing_nothing_is_read() -> None:
    channel = Channel()
    channel.put("a")
    stream = TextStream(channel)
    stream.close()
    assert channel.closed
    assert list(stream) == []


def test_the_generating_side_is_told_once() -> None:
    channel, told = Channel(), []
    channel.on_close(lambda: told.append("closed"))
    stream = TextStream(channel)
    stream.close()
    stream.close()
    assert told == ["closed"]


def test_the_generating_side_is_told_at_once_if_it_comes_late() -> None:
    channel, told = Channel(), []
    channel.close()
    channel.on_close(lambda: told.append("closed"))
    assert told == ["closed"]


def test_leaving_or_dropping_a_stream_closes_it() -> None:
    left, dropped = Channel(), Channel()
    with TextStream(left):
        pass
    TextStream(dropped)
    assert left.closed
    assert dropped.closed
