import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cairn.errors import ConfigurationError
from cairn.inference.embedding import local_embedder
from cairn.inference.embedding.local import LocalEmbedder
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.openvino import OpenVinoEncoder, export_graph
from cairn.inference.embedding.tokenization import Batch
from tests.cairn.inference.embedding.test_folder import make

pytestmark = [pytest.mark.models, pytest.mark.slow]
HELLO = Batch([0], np.array([[101, 7592, 102]]), np.ones((1, 3), np.int64))


def test_query_does_not_wait_for_documents(openvino_encoder: OpenVinoEncoder) -> None:
    under_way, go_on = threading.Event(), threading.Event()

    def batches() -> Iterator[Batch]:
        yield HELLO
        under_way.set()
        assert go_on.wait(60)
        yield HELLO

    results: list[object] = []
    ingest = threading.Thread(target=lambda: results.extend(openvino_encoder.encode_all(batches())))
    ingest.start()
    assert under_way.wait(60)
    assert openvino_encoder.encode(HELLO).shape == (1, 384)
    assert results == []
    go_on.set()
    ingest.join(60)
    assert len(results) == 2


def ticks_by_nice() -> Counter[int]:
    """Return the processor time of this process's threads by nice value."""
    found = Counter[int]()
    for stat in Path("/proc/self/task").glob("*/stat"):
        fields = stat.read_text().rpartition(")")[2].split()
        found[int(fields[16])] += int(fields[11])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux weighs threads")
def test_document_encoding_leaves_cores_to_queries(openvino_encoder: OpenVinoEncoder) -> None:
    long = Batch([0], np.full((32, 256), 7592), np.ones((32, 256), np.int64))
    list(openvino_encoder.encode_all([HELLO]))
    before, mine = ticks_by_nice(), os.getpriority(os.PRIO_PROCESS, 0)
    list(openvino_encoder.encode_all([long] * 4))
    used = ticks_by_nice() - before
    assert os.getpriority(os.PRIO_PROCESS, 0) == mine
    assert max(used, key=used.__getitem__) >= min(mine + 10, 19)


def test_failed_batches_leave_the_encoder_usable(openvino_encoder: OpenVinoEncoder) -> None:
    def batches() -> Iterator[Batch]:
        yield HELLO
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(openvino_encoder.encode_all(batches()))
    assert len(list(openvino_encoder.encode_all([HELLO]))) == 1


def test_graph_is_exported_once(minilm: EncoderFolder, models_folder: Path, embedder: LocalEmbedder) -> None:
    graph = models_folder / minilm.identity / "openvino" / "openvino_model.xml"
    before = graph.stat().st_mtime_ns
    again = local_embedder(minilm, backend="openvino", models=models_folder)
    assert graph.stat().st_mtime_ns == before
    assert again.embed_query("hello") @ embedder.embed_query("hello") == pytest.approx(1, abs=1e-5)


def test_failed_export_is_explained(tmp_path: Path) -> None:
    folder = make(tmp_path / "broken", config={"model_type": "no-such-model"})
    with pytest.raises(ConfigurationError, match=r"broken cannot be exported to OpenVINO: .+"):
        export_graph(folder, tmp_path / "models")
    assert os.listdir(tmp_path / "models") == []  # noqa: PTH208 - hidden drafts count as well


def test_cls_pooling_uses_the_first_state(
    openvino_encoder: OpenVinoEncoder, minilm: EncoderFolder, models_folder: Path
) -> None:
    cls = OpenVinoEncoder(export_graph(minilm, models_folder), pooling="cls")
    alone = Batch([0], HELLO.ids, np.array([[1, 0, 0]]))  # the mean over nothing but the first state
    mean_of_first = openvino_encoder.encode(alone)
    first = cls.encode(alone)
    np.testing.assert_allclose(first, mean_of_first, rtol=1e-5)
    assert not np.allclose(openvino_encoder.encode(HELLO), cls.encode(HELLO))
