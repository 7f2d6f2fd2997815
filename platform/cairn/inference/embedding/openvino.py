"""The encoder on a CPU: sentence-transformers exports the graph once, OpenVINO alone runs it.

That starts in half a second, where importing sentence-transformers takes five, and needs no PyTorch.
"""

import threading
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino

from cairn.errors import ConfigurationError
from cairn.inference.artifacts import built_once
from cairn.inference.child import ChildFailed, run_in_child
from cairn.inference.embedding.folder import EncoderFolder
from cairn.inference.embedding.tokens import Batch
from cairn.inference.protocols import Vectors

_EXPORTER = "cairn.inference.embedding.export"
_GRAPH = Path("openvino", "openvino_model.xml")


def exported(folder: EncoderFolder, models: Path) -> Path:
    """The graph of `folder`'s transformer under `models`; exported in a child process if it is not there.

    The child takes PyTorch's memory with it when it ends.
    """

    def export(draft: Path) -> None:
        try:
            run_in_child(_EXPORTER, folder.path, draft)
        except ChildFailed as error:
            raise ConfigurationError(
                f"The embedding model {folder.name} cannot be exported to OpenVINO: {error.message}"
            ) from error

    return built_once(models / folder.identity, export) / _GRAPH


class OpenVinoEncoder:
    """Two compiled models, since one serves one caller at a time and a batch takes many queries' time.

    Small batches: no slower than large ones, and a query between them gets a core sooner.
    """

    batch_tokens = 1024
    batch_texts = 32

    def __init__(self, graph: Path, *, pooling: str) -> None:
        self._model = openvino.Core().read_model(graph)
        self._inputs = {port.any_name for port in self._model.inputs}
        self._pooling = pooling
        self._query = self._compiled("LATENCY").create_infer_request()
        self._query_lock = threading.Lock()
        self._documents_lock = threading.Lock()
        self.dimension = int(self._model.outputs[0].partial_shape[-1].get_length())

    def encode(self, batch: Batch) -> Vectors:
        with self._query_lock:
            self._query.infer(self._feed(batch), share_inputs=True)
            return self._pooled(self._query, batch)

    def encode_all(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Vectors]]:
        done: SimpleQueue[tuple[Batch, Vectors]] = SimpleQueue()
        with self._documents_lock:
            requests = self._documents
            requests.set_callback(lambda request, batch: done.put((batch, self._pooled(request, batch))))
            try:
                for batch in batches:
                    requests.start_async(self._feed(batch), batch)
            finally:
                requests.wait_all()
        while not done.empty():
            yield done.get()

    @cached_property
    def _documents(self) -> Any:
        """Compiled when the first documents come: a process that only answers never pays for it."""
        return openvino.AsyncInferQueue(self._compiled("THROUGHPUT"))

    def _compiled(self, hint: str) -> Any:
        return openvino.Core().compile_model(self._model, "CPU", {"PERFORMANCE_HINT": hint})

    def _feed(self, batch: Batch) -> dict[str, Any]:
        feed = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "token_type_ids": np.zeros_like(batch.ids),
        }
        return {name: values for name, values in feed.items() if name in self._inputs}

    def _pooled(self, request: Any, batch: Batch) -> Vectors:
        states: Vectors = request.get_output_tensor(0).data
        if self._pooling == "cls":
            return states[:, 0].copy()
        weights = batch.mask / batch.mask.sum(axis=1, keepdims=True)
        pooled: Vectors = np.matmul(weights[:, None, :].astype(np.float32), states)[:, 0]
        return pooled
