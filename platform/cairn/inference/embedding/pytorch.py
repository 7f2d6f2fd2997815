"""The encoder through sentence-transformers: on CUDA, and where a model is more than pooled states."""

import ctypes
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from cairn.inference.embedding.folder import EncoderFolder
from cairn.inference.embedding.tokens import Batch
from cairn.inference.protocols import Vectors


def cuda_is_there() -> bool:
    """Without an NVIDIA driver the answer comes at once; PyTorch takes seconds to import."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    import torch  # noqa: PLC0415 - slow to import, and needed only where there is a driver

    return torch.cuda.is_available()


class TorchEncoder:
    """float16 on CUDA, float32 on a CPU. Takes token ids, so that threads share no tokenizer state."""

    def __init__(self, folder: EncoderFolder, *, device: str) -> None:
        import torch  # noqa: PLC0415 - five seconds and half a gigabyte that other encoders do not need
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - the same
        from transformers.utils import logging  # noqa: PLC0415 - the same

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers' own
        cuda = device == "cuda"
        self._torch = torch
        self._model = SentenceTransformer(
            str(folder.path),
            device=device,
            local_files_only=True,
            model_kwargs={"dtype": torch.float16 if cuda else torch.float32},
        ).eval()
        self._device = device
        self.batch_tokens = 32_768 if cuda else 2048
        self.batch_texts = 256 if cuda else 32
        self.dimension = int(self._model.get_embedding_dimension() or 0)

    def encode(self, batch: Batch) -> Vectors:
        features: dict[str, Any] = {
            "input_ids": self._torch.from_numpy(batch.ids).to(self._device),
            "attention_mask": self._torch.from_numpy(batch.mask).to(self._device),
        }
        with self._torch.inference_mode():
            vectors = self._model.forward(features)["sentence_embedding"]
        return np.asarray(vectors.float().cpu().numpy(), np.float32)

    def encode_all(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Vectors]]:
        for batch in batches:
            yield batch, self.encode(batch)
