"""Adapters of `Embedder`, and the choice between them."""

from pathlib import Path

from cairn.errors import ConfigurationError
from cairn.inference.embedding.llama_index import open_llama_index_embedding
from cairn.inference.embedding.local import LocalEmbedder
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.openvino import OpenVinoEncoder, export_graph
from cairn.inference.embedding.pytorch import TorchEncoder, cuda_is_there
from cairn.inference.embedding.remote import RemoteEmbedder
from cairn.inference.protocols import Embedder
from cairn.settings import Environment
from cairn.settings.dotted_paths import is_dotted


def open_embedder(environment: Environment) -> Embedder:
    if environment.embedding_base_url:
        return RemoteEmbedder.from_environment(environment)
    if is_dotted(environment.embedding_model):
        return open_llama_index_embedding(environment.embedding_model)
    folder = EncoderFolder.of(environment.embedding_model)
    return local_embedder(
        folder, backend=environment.embedding_backend, models=environment.data_dir / "models"
    )


def local_embedder(folder: EncoderFolder, *, backend: str, models: Path) -> Embedder:
    """auto: PyTorch on CUDA, else OpenVINO if it can run the model, else PyTorch. `models` keeps exports."""
    if backend not in {"auto", "openvino", "torch"}:
        raise ConfigurationError(f"EMBEDDING_BACKEND must be auto, openvino or torch, not {backend!r}")
    if backend == "openvino" and not folder.pooling:
        raise ConfigurationError(f"The embedding model {folder.name} needs EMBEDDING_BACKEND=torch")
    if backend != "openvino" and cuda_is_there():
        return LocalEmbedder(folder, TorchEncoder(folder, device="cuda"))
    if backend == "torch" or not folder.pooling:
        return LocalEmbedder(folder, TorchEncoder(folder, device="cpu"))
    return LocalEmbedder(folder, OpenVinoEncoder(export_graph(folder, models), pooling=folder.pooling))


__all__ = ["local_embedder", "open_embedder"]
