from pathlib import Path

import numpy as np
import pytest

from cairn.errors import ConfigurationError
from cairn.inference import embedding
from cairn.inference.embedding import local_embedder, open_embedder
from cairn.inference.embedding.remote import RemoteEmbedder
from cairn.inference.embedding.tokenization import Batch
from cairn.inference.protocols import Vectors
from cairn.settings import Environment
from tests.cairn.inference.embedding.test_folder import make


class FakeTorch:
    dimension, batch_tokens, batch_texts = 3, 64, 4

    def __init__(self, folder: object, *, device: str) -> None:
        self.device = device

    def encode(self, batch: Batch) -> Vectors:
        return np.ones((len(batch.rows), self.dimension), np.float32)


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Devices that PyTorch was loaded for."""
    devices: list[str] = []

    def fake(folder: object, *, device: str) -> FakeTorch:
        devices.append(device)
        return FakeTorch(folder, device=device)

    monkeypatch.setattr(embedding, "TorchEncoder", fake)
    return devices


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A model whose vectors only sentence-transformers can compute."""
    minilm = embedding.EncoderFolder.of("all-MiniLM-L6-v2")
    make(tmp_path / "dense", modules=["Transformer", "Pooling", "Dense"])
    (tmp_path / "dense" / "tokenizer.json").write_bytes(minilm.tokenizer_file.read_bytes())
    return tmp_path / "dense"


@pytest.mark.parametrize(("cuda", "device"), [(True, "cuda"), (False, "cpu")])
def test_pytorch_uses_an_available_gpu(
    cuda: bool, device: str, torch: list[str], copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedding, "cuda_is_there", lambda: cuda)
    for backend in ("auto", "torch"):
        local_embedder(embedding.EncoderFolder.of(str(copy)), backend=backend, models=tmp_path)
    assert torch == [device, device]


def test_openvino_rejects_unsupported_models(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="EMBEDDING_BACKEND=torch"):
        local_embedder(embedding.EncoderFolder.of(str(copy)), backend="openvino", models=tmp_path)


def test_unknown_embedding_backend_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'onnx'"):
        open_embedder(Environment(embedding_backend="onnx", data_dir=tmp_path))


def test_base_url_selects_a_remote_embedder() -> None:
    remote = open_embedder(Environment(embedding_base_url="http://127.0.0.1:1/v1", embedding_model="bge-m3"))
    assert isinstance(remote, RemoteEmbedder)
    assert remote.model == "bge-m3"
    remote.close()
