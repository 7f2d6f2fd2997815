import numpy as np
import pytest

from cairn.inference.embedding.local import LocalEmbedder
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.pytorch import TorchEncoder, cuda_is_there

pytestmark = pytest.mark.models
TEXTS = ["Donate annual leave", "steel pump " * 300, "", "x"]


@pytest.fixture(scope="module")
def torch_embedder(minilm: EncoderFolder) -> LocalEmbedder:
    return LocalEmbedder(minilm, TorchEncoder(minilm, device="cpu"))


def test_pytorch_vectors_equal_openvino_vectors(
    torch_embedder: LocalEmbedder, embedder: LocalEmbedder
) -> None:
    assert torch_embedder.model == embedder.model
    assert torch_embedder.dimension == 384
    ours, theirs = torch_embedder.embed_documents(TEXTS), embedder.embed_documents(TEXTS)
    assert ours.dtype == np.float32
    assert (ours * theirs).sum(axis=1).min() > 0.9999
    assert torch_embedder.embed_query(TEXTS[0]) @ ours[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.skipif(not cuda_is_there(), reason="no CUDA device")
def test_cuda_half_precision_agrees(minilm: EncoderFolder, embedder: LocalEmbedder) -> None:
    on_gpu = LocalEmbedder(minilm, TorchEncoder(minilm, device="cuda"))
    assert (on_gpu.embed_documents(TEXTS) * embedder.embed_documents(TEXTS)).sum(axis=1).min() > 0.999
