"""A transformer that reads two texts at once, in this process."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cairn.errors import Unavailable
from cairn.inference.cross_encoders.windows import PairTokens, Windows
from cairn.inference.embedding.pytorch import cuda_is_there, quiet_transformers
from cairn.inference.local_models import CANNOT_LOAD, ModelFolder
from cairn.inference.native_libraries import prepare_torch

Logits = NDArray[np.float32]
_BATCH: Final = 16
_LONGEST: Final = 512  # tokens; beyond it attention costs more than a second window
_UNBOUNDED: Final = 1 << 20  # tokenizers without a limit say 10**30
_ROBERTA_OFFSET: Final = 2  # its positions begin behind the one of the padding


class Task(StrEnum):
    SPANS = "AutoModelForQuestionAnswering"
    CLASSES = "AutoModelForSequenceClassification"


@dataclass(frozen=True, slots=True)
class Read:
    """Windows and what the network says of each: for SPANS logits of starts and of ends, (windows, tokens)
    each, for CLASSES one array (windows, labels)."""

    windows: Windows
    logits: tuple[Logits, ...]


class PairNetwork:
    """Threads may share an instance: one runs at a time, since PyTorch uses all cores."""

    def __init__(self, folder: ModelFolder, task: Task, model: Any, tokens: PairTokens, torch: Any) -> None:
        self.name = folder.name
        self.labels = tuple(model.config.id2label[at] for at in sorted(model.config.id2label))
        self.answers_with_spans = task is Task.SPANS
        self._device = "cuda" if cuda_is_there() else "cpu"
        self._model = model.to(self._device).eval()
        self._tokens = tokens
        self._torch = torch
        self._lock = threading.Lock()
        self._takes_types = int(getattr(model.config, "type_vocab_size", 0) or 0) > 1

    @classmethod
    def load(cls, folder: ModelFolder) -> "PairNetwork":
        """Raises ConfigurationError."""
        torch = prepare_torch()
        import transformers  # noqa: PLC0415 - slow to import, and seldom needed

        quiet_transformers()
        try:
            config = transformers.AutoConfig.from_pretrained(folder.path, local_files_only=True)
            task = _task(folder, config.architectures or ())
            model = getattr(transformers, task).from_pretrained(folder.path, local_files_only=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
            _require_words(tokenizer)
            tokens = PairTokens(tokenizer.backend_tokenizer, longest=_longest(config, tokenizer))
        except CANNOT_LOAD as error:
            raise folder.build_error(error) from error
        return cls(folder, task, model, tokens, torch)

    def read(self, pairs: Sequence[tuple[str, str]], *, long: int) -> Iterator[Read]:
        """`long`: which of the two texts, 0 or 1, is read in windows where both do not fit."""
        for windows in self._tokens.windows(pairs, long=long, most=_BATCH):
            yield Read(windows, self._logits(windows))

    def _logits(self, windows: Windows) -> tuple[Logits, ...]:
        feed = {"input_ids": windows.ids, "attention_mask": windows.mask}
        if self._takes_types:
            feed["token_type_ids"] = windows.types
        tensors = {name: self._torch.from_numpy(values).to(self._device) for name, values in feed.items()}
        try:
            with self._lock, self._torch.inference_mode():
                output = self._model(**tensors)
        except RuntimeError as error:  # no memory, or a device that is gone
            raise Unavailable(f"The model {self.name} failed: {error}") from error
        outputs = (output.start_logits, output.end_logits) if self.answers_with_spans else (output.logits,)
        return tuple(self._sound(logits) for logits in outputs)

    def _sound(self, logits: Any) -> Logits:
        values = np.asarray(logits.float().cpu().numpy(), np.float32)
        if not np.isfinite(values).all():
            raise Unavailable(f"The model {self.name} returns invalid numbers")
        return values


def _task(folder: ModelFolder, architectures: Sequence[str]) -> Task:
    for name in architectures:
        if name.endswith("ForQuestionAnswering"):
            return Task.SPANS
        if name.endswith("ForSequenceClassification"):
            return Task.CLASSES
    known = ", ".join(architectures) or "of no known architecture"
    raise folder.build_error(
        f"it is neither for question answering nor for sequence classification, but {known}"
    )


def _require_words(tokenizer: Any) -> None:
    """Reject an empty tokenizer: one without its files loads without an error."""
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_tokens):
        raise ValueError("it has no vocabulary")


def _longest(config: Any, tokenizer: Any) -> int:
    own = int(tokenizer.model_max_length)
    positions = int(getattr(config, "max_position_embeddings", 0) or _UNBOUNDED)
    offset = _ROBERTA_OFFSET if "roberta" in config.model_type else 0
    return min(_LONGEST, own if own < _UNBOUNDED else _LONGEST, positions - offset)
