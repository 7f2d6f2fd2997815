"""The encoder on a CPU: sentence-transformers exports the graph once, OpenVINO alone runs it.

That starts in half a second, where importing sentence-transformers takes five, and needs no PyTorch.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import numpy as np
import openvino

from cairn.errors import ConfigurationError
from cairn.inference.artifacts import build_once
from cairn.inference.child_process import ChildFailed, run_in_child
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.tokenization import Batch
from cairn.inference.native_libraries import prepare_openvino
from cairn.inference.packaged_models import verify_packaged_weights
from cairn.inference.protocols import Vectors

_EXPORTER = "cairn.inference.embedding.openvino_export"
_GRAPH = Path("openvino", "openvino_model.xml")
_QUEUED: Final = 2  # batches ready for a core that becomes free
_NICE: Final = 10  # documents leave the cores to questions

_SMALLEST: Final = Batch([0], np.zeros((1, 1), np.int64), np.ones((1, 1), np.int64))

Encoded = tuple[Batch, Vectors]


def export_graph(folder: EncoderFolder, models: Path) -> Path:
    """Return the graph of `folder`'s transformer; a child process exports it to `models` if missing.

    The child takes PyTorch's memory with it when it ends.
    """

    def export(draft: Path) -> None:
        verify_packaged_weights(folder.path)
        try:
            run_in_child(_EXPORTER, folder.path, draft)
        except ChildFailed as error:
            raise ConfigurationError(
                f"The embedding model {folder.name} cannot be exported to OpenVINO: {error.message}"
            ) from error

    return build_once(models / folder.identity, export) / _GRAPH


class OpenVinoEncoder:
    """Two compiled models, since a batch of documents takes many queries' time.

    Small batches: no slower than large ones, and a query between them gets a core sooner.
    """

    batch_tokens = 1024
    batch_texts = 32

    def __init__(self, graph: Path, *, pooling: str) -> None:
        prepare_openvino()
        self._model = openvino.Core().read_model(graph)
        self._inputs = {port.any_name for port in self._model.inputs}
        self._pooling = pooling
        self._query = self._compile_model("LATENCY").create_infer_request()
        self._query_lock = threading.Lock()
        self._compiling = threading.Lock()
        self._requests: _Requests | None = None
        self.dimension = int(self._model.outputs[0].partial_shape[-1].get_length())

    @property
    def at_once(self) -> int:
        return self._documents.size

    def encode(self, batch: Batch) -> Vectors:
        with self._query_lock:
            return self._run(self._query, batch)

    def encode_all(self, batches: Iterable[Batch]) -> Iterator[Encoded]:
        """Share the cores between callers batch by batch, so that none waits for another to finish."""
        return self._documents.map(self._encode_batch, batches)

    def _encode_batch(self, request: Any, batch: Batch) -> Encoded:
        return batch, self._run(request, batch)

    @property
    def _documents(self) -> "_Requests":
        """Compile the model when the first documents arrive: a process that only answers never needs it."""
        with self._compiling:
            if self._requests is None:
                with ThreadPoolExecutor(1, initializer=_step_back) as niced:  # its threads inherit it
                    model = niced.submit(self._compile_model, "THROUGHPUT").result()
                self._try_out(model)
                self._requests = _Requests(model)
            return self._requests

    def _try_out(self, model: Any) -> None:
        """Run the model's first inference before threads share it."""
        self._run(model.create_infer_request(), _SMALLEST)

    def _run(self, request: Any, batch: Batch) -> Vectors:
        request.infer(self._feed(batch), share_inputs=True, share_outputs=True)
        return self._pool_states(request, batch)

    def _compile_model(self, hint: str) -> Any:
        return openvino.Core().compile_model(self._model, "CPU", {"PERFORMANCE_HINT": hint})

    def _feed(self, batch: Batch) -> dict[str, Any]:
        feed = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "token_type_ids": np.zeros_like(batch.ids),
        }
        return {name: values for name, values in feed.items() if name in self._inputs}

    def _pool_states(self, request: Any, batch: Batch) -> Vectors:
        states: Vectors = request.get_output_tensor(0).data
        if self._pooling == "cls":
            return states[:, 0].copy()
        weights = batch.mask / batch.mask.sum(axis=1, keepdims=True)
        pooled: Vectors = np.matmul(weights[:, None, :].astype(np.float32), states)[:, 0]
        return pooled


def _step_back() -> None:
    """Lower the priority of this thread, which only Linux can do per thread."""
    if sys.platform == "linux":
        os.nice(_NICE)


class _Requests:
    """Infer requests of one compiled model. Each serves one caller at a time."""

    def __init__(self, model: Any) -> None:
        streams = int(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.size = streams + _QUEUED
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.size):
            self._idle.put(model.create_infer_request())
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="encoder")

    def map(self, run: Callable[[Any, Batch], Encoded], batches: Iterable[Batch]) -> Iterator[Encoded]:
        """A single batch runs in the caller's thread."""
        rest = iter(batches)
        ahead = list(islice(rest, 2))
        if len(ahead) < 2:
            return (self._one(run, batch) for batch in ahead)
        return self._together(run, chain(ahead, rest))

    def _together(self, run: Callable[[Any, Batch], Encoded], batches: Iterable[Batch]) -> Iterator[Encoded]:
        under_way: deque[Future[Encoded]] = deque()
        try:
            for batch in batches:
                under_way.append(self._threads.submit(self._one, run, batch))
                if len(under_way) > self.size:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
            wait(under_way)

    def _one(self, run: Callable[[Any, Batch], Encoded], batch: Batch) -> Encoded:
        request = self._idle.get()
        try:
            return run(request, batch)
        finally:
            self._idle.put(request)
