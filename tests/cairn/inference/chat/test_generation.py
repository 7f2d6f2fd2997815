"""Access to the shared generation pipeline, and its cancellation, with a pipeline driven by the test."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino_genai
import pytest

from cairn.errors import Unavailable
from cairn.inference.chat.openvino_pipeline import SLICE_TOKENS, Generation, Order


class FakePipeline:
    """Writes the prompt's first id, again and again; each call and each piece waits for `go_on`."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.written: list[int] = []
        self.steps: SimpleQueue[None] = SimpleQueue()
        self.called: SimpleQueue[int] = SimpleQueue()
        self.failure: str | None = None

    def go_on(self, steps: int) -> None:
        for _ in range(steps):
            self.steps.put(None)

    def generate(self, inputs: Any, config: Any, streamer: Any = None) -> None:
        first, length = int(inputs.input_ids.data[0, 0]), inputs.input_ids.shape[1]
        self.calls.append(length)
        self.called.put(length)
        self.steps.get(timeout=60)
        if self.failure:
            raise RuntimeError(self.failure)
        for _ in range(config.max_new_tokens if streamer else 0):
            self.steps.get(timeout=60)
            if streamer(str(first)) == openvino_genai.StreamingStatus.CANCEL:
                return
            self.written.append(first)


@pytest.fixture
def pipeline() -> FakePipeline:
    return FakePipeline()


@pytest.fixture
def generation(pipeline: FakePipeline) -> Iterator[Generation]:
    generation = Generation(pipeline)
    yield generation
    pipeline.go_on(100)
    generation.close()


def order(first: int, *, length: int = 3, max_tokens: int = 2) -> Order:
    return Order(np.full((1, length), first, np.int64), max_tokens)


def test_generation_preserves_the_order_of_requests(pipeline: FakePipeline, generation: Generation) -> None:
    streams = [generation.submit(order(number)) for number in range(4)]
    pipeline.go_on(4 * 3)
    assert [list(stream) for stream in streams] == [[str(number)] * 2 for number in range(4)]
    assert pipeline.written == [0, 0, 1, 1, 2, 2, 3, 3]


def test_cancelled_waiting_generation_is_skipped(pipeline: FakePipeline, generation: Generation) -> None:
    first, left, last = (generation.submit(order(number)) for number in range(3))
    left.close()
    pipeline.go_on(6)
    assert (list(first), list(left), list(last)) == (["0"] * 2, [], ["2"] * 2)
    assert pipeline.written == [0, 0, 2, 2]


def test_closing_a_stream_stops_generation(pipeline: FakePipeline, generation: Generation) -> None:
    stream = generation.submit(order(7, max_tokens=1000))
    pipeline.go_on(2)
    assert next(stream) == "7"
    stream.close()
    pipeline.go_on(1)
    assert generation.wait_until_idle(60)
    assert pipeline.written == [7]


def test_long_prompt_is_processed_in_slices(pipeline: FakePipeline, generation: Generation) -> None:
    length = 2 * SLICE_TOKENS + 1
    pipeline.go_on(5)
    assert list(generation.submit(order(5, length=length))) == ["5", "5"]
    assert pipeline.calls == [SLICE_TOKENS, 2 * SLICE_TOKENS, length]


def test_long_prompt_can_be_cancelled_between_slices(pipeline: FakePipeline, generation: Generation) -> None:
    stream = generation.submit(order(5, length=9 * SLICE_TOKENS))
    assert pipeline.called.get(timeout=60) == SLICE_TOKENS
    stream.close()
    pipeline.go_on(1)
    assert generation.wait_until_idle(60)
    assert pipeline.calls == [SLICE_TOKENS]


def test_generation_failure_affects_only_its_stream(pipeline: FakePipeline, generation: Generation) -> None:
    pipeline.failure = "out of memory"
    failing = generation.submit(order(1))
    pipeline.go_on(1)
    with pytest.raises(Unavailable, match="out of memory"):
        next(failing)
    pipeline.failure = None
    pipeline.go_on(3)
    assert list(generation.submit(order(2))) == ["2", "2"]


def test_closing_stops_the_writer_and_refuses_the_line(pipeline: FakePipeline) -> None:
    generation = Generation(pipeline)
    writing, waiting = generation.submit(order(1, max_tokens=1000)), generation.submit(order(2))
    pipeline.go_on(2)
    assert next(writing) == "1"
    closing = threading.Thread(target=generation.close)
    closing.start()
    while generation.alive:
        closing.join(0.001)
    pipeline.go_on(1)
    closing.join(60)
    for stream in (writing, waiting):
        with pytest.raises(Unavailable, match="stopping"):
            next(stream)
    with pytest.raises(Unavailable, match="was stopped"):
        generation.submit(order(3))
    assert pipeline.written == [1]
