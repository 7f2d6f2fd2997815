"""The encoder through sentence-transformers: on CUDA, and for models with more than a pooling layer."""

import ctypes
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final

import numpy as np

from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.tokenization import Batch
from cairn.inference.native_libraries import prepare_torch
from cairn.inference.packaged_models import verify_packaged_weights
from cairn.inference.protocols import Vectors

_BF16: Final = ("amx_bf16", "avx512_bf16")


def cuda_is_there() -> bool:
    """Return whether CUDA is available. Checks for an NVIDIA driver first: importing PyTorch takes
    seconds."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return bool(prepare_torch().cuda.is_available())


def quiet_transformers() -> None:
    """Suppress progress bars and advice on standard error while models load."""
    from transformers.utils import logging  # noqa: PLC0415 - slow to import

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers' own


class TorchEncoder:
    """Half precision where the device has it: on a CPU three times as fast, cosines to float32 0.9999.

    Takes token ids, so that threads share no tokenizer state.
    """

    def __init__(self, folder: EncoderFolder, *, device: str) -> None:
        torch = prepare_torch()
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - slow, and seldom needed

        quiet_transformers()
        verify_packaged_weights(folder.path)
        cuda = device == "cuda"
        self._torch = torch
        self._half = not cuda and _cpu_has_bf16(torch)
        # numbers of a model made in bfloat16 may be too large for float16
        half = torch.bfloat16 if folder.made_in_bfloat16 else torch.float16
        self._model = SentenceTransformer(
            str(folder.path),
            device=device,
            local_files_only=True,
            model_kwargs={"dtype": half if cuda else torch.float32},
        ).eval()
        self._device = device
        self.batch_tokens = 32_768 if cuda else 2048
        self.batch_texts = 256 if cuda else 32
        self.at_once = 2  # one is made ready while the other runs
        self.dimension = int(self._model.get_embedding_dimension() or 0)

    def encode(self, batch: Batch) -> Vectors:
        features: dict[str, Any] = {
            "input_ids": self._torch.from_numpy(batch.ids).to(self._device),
            "attention_mask": self._torch.from_numpy(batch.mask).to(self._device),
        }
        with self._running():
            vectors = self._model.forward(features)["sentence_embedding"]
        return np.asarray(vectors.float().cpu().numpy(), np.float32)

    def encode_all(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Vectors]]:
        for batch in batches:
            yield batch, self.encode(batch)

    def _running(self) -> AbstractContextManager[object]:
        """Run in bfloat16 on a CPU, for large multiplications only."""
        with ExitStack() as stack:
            stack.enter_context(self._torch.inference_mode())
            if self._half:
                stack.enter_context(self._torch.autocast("cpu", dtype=self._torch.bfloat16))
            return stack.pop_all()


def _cpu_has_bf16(torch: Any) -> bool:
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(known.get(name) for name in _BF16)
