"""Runner of an OpenVINO GenAI pipeline, with the thread that feeds it."""

import logging
import threading
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino
import openvino_genai
from numpy.typing import NDArray

from cairn.errors import Unavailable
from cairn.inference.chat.text_stream import Channel, TextStream

logger = logging.getLogger(__name__)
SLICE_TOKENS = 256
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Order:
    """`ids`: the prompt's tokens, shape (1, length)."""

    ids: Ids
    max_tokens: int
    channel: Channel = field(default_factory=Channel)


class Generation:
    """Answers in the order they were asked for: a pipeline writes one at a time. It must cache prefixes."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._closed = threading.Event()
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chat-generation", daemon=True)
        self._thread.start()

    def submit(self, order: Order) -> TextStream:
        if not self.alive:
            raise Unavailable("The language model was stopped")
        self._orders.put(order)
        return TextStream(order.channel)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._closed.is_set()

    def wait_until_idle(self, timeout: float) -> bool:
        return self._idle.wait(timeout)

    def close(self) -> None:
        """Stop the running answer, refuse waiting ones, and end the thread."""
        self._closed.set()
        self._orders.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            if self._orders.empty():
                self._idle.set()
            order = self._orders.get()
            if order is None:
                return
            self._idle.clear()
            order.channel.end(self._write(order))

    def _write(self, order: Order) -> Unavailable | None:
        try:
            self._prefill(order)
            if not self._is_cancelled(order):
                self._pipeline.generate(_inputs(order.ids), _config(order.max_tokens), self._reader(order))
        except RuntimeError as error:  # what GenAI raises for whatever goes wrong
            logger.exception("generation failed")
            return Unavailable(f"The language model failed: {error}")
        return Unavailable("The language model is stopping") if self._closed.is_set() else None

    def _prefill(self, order: Order) -> None:
        """Puts a long prompt into the prefix cache slice by slice: no call can be stopped before its first
        token, and the slices take no longer than the whole."""
        for end in range(SLICE_TOKENS, order.ids.shape[1], SLICE_TOKENS):
            if self._is_cancelled(order):
                return
            self._pipeline.generate(_inputs(order.ids[:, :end]), _config(1))

    def _reader(self, order: Order) -> Any:
        status = openvino_genai.StreamingStatus

        def read(piece: str) -> Any:
            if self._is_cancelled(order):
                return status.CANCEL
            order.channel.put(piece)
            return status.RUNNING

        return read

    def _is_cancelled(self, order: Order) -> bool:
        return order.channel.closed or self._closed.is_set()


def write_first_token(pipeline: Any, ids: Ids) -> None:
    """Run the pipeline's first inference before its thread starts."""
    pipeline.generate(_inputs(ids), _config(1), lambda _piece: openvino_genai.StreamingStatus.RUNNING)


def _inputs(ids: Ids) -> Any:
    whole = np.ascontiguousarray(ids)
    return openvino_genai.TokenizedInputs(openvino.Tensor(whole), openvino.Tensor(np.ones_like(whole)))


def _config(max_tokens: int) -> Any:
    """Greedy, and no repetition penalty: it keeps a small model from repeating what the evidence says."""
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = max_tokens
    config.do_sample = False
    config.apply_chat_template = False
    return config
