"""A cross-encoder as an ONNX graph, which ONNX Runtime runs on the CPU."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from tokenizers import Encoding, Tokenizer  # type: ignore[import-untyped]  # ships no types

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.embedding.tokenization import replace_surrogates
from cairn.inference.packaged_models import verify_packaged_weights
from cairn.inference.reranking.deadline import MAX_TEXTS_ON_CPU

_GRAPH: Final = "model.onnx"
_TOKENIZER: Final = "tokenizer.json"
_MAX_QUERY_TOKENS: Final = 64
_MAX_PAIR_TOKENS: Final = 256
_MAX_THREADS: Final = 8  # for a single passage, more threads wait for each other


class PairTokenizer:
    """Query and text as one sequence of at most 256 tokens. Of a long query the beginning counts."""

    def __init__(self, path: Path) -> None:
        self._counting = Tokenizer.from_file(str(path))
        self._counting.no_padding()
        self._counting.no_truncation()
        # Truncation is a setting of the tokenizer, not of a call: hence two of them.
        self._cutting = Tokenizer.from_str(self._counting.to_str())
        self._cutting.enable_truncation(_MAX_PAIR_TOKENS, strategy="only_second")

    def encode(self, query: str, text: str) -> Encoding:
        return self._cutting.encode(self._cut(replace_surrogates(query)), replace_surrogates(text))

    def _cut(self, query: str) -> str:
        ends = [end for _, end in self._counting.encode(query, add_special_tokens=False).offsets]
        return query if len(ends) <= _MAX_QUERY_TOKENS else query[: ends[_MAX_QUERY_TOKENS - 1]]


class OnnxScorer:
    """A Scorer. Scores are probabilities.

    One text at a time: without padding a batch gains nothing, and in an int8 graph the texts of a batch
    would change each other's scores. Each takes all cores, hence one query at a time.
    """

    batch_texts = 1
    at_once = 1
    max_texts = MAX_TEXTS_ON_CPU

    def __init__(
        self, session: Any, tokenizer: PairTokenizer, *, name: str, languages: frozenset[str] | None
    ) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._inputs = {port.name for port in session.get_inputs()}
        self.name = name
        self.languages = languages

    @classmethod
    def load(cls, folder: Path, *, name: str, languages: frozenset[str] | None = None) -> "OnnxScorer":
        """Load the model and score a text, so that the first inference runs in one thread alone.

        Raises ConfigurationError.
        """
        verify_packaged_weights(folder)
        try:
            tokenizer = PairTokenizer(folder / _TOKENIZER)
            scorer = cls(_open_session(folder / _GRAPH), tokenizer, name=name, languages=languages)
            scorer.score("probe", ["probe"], seconds=math.inf)
        except Exception as error:  # neither library's errors have a base of their own
            raise ConfigurationError(f"RERANKER_MODEL {name} cannot be used: {error}") from error
        return scorer

    def score(self, query: str, texts: Sequence[str], *, seconds: float) -> list[float]:  # noqa: ARG002
        """Score without a deadline: a text cannot be interrupted."""
        return [self._score_pair(query, text) for text in texts]

    def close(self) -> None:
        """Do nothing: the memory is freed with the process."""

    def _score_pair(self, query: str, text: str) -> float:
        pair = self._tokenizer.encode(query, text)
        given = {
            "input_ids": pair.ids,
            "attention_mask": pair.attention_mask,
            "token_type_ids": pair.type_ids,
        }
        feed = {name: np.array([row], np.int64) for name, row in given.items() if name in self._inputs}
        try:
            logits = np.asarray(self._session.run(None, feed)[0])
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            raise Unavailable(f"The reranker {self.name} failed: {error}") from error
        if logits.size != 1:
            raise Unavailable(f"The reranker {self.name} gives {logits.size} numbers instead of a score")
        return float(0.5 * (1 + np.tanh(logits.item() / 2)))  # the logistic function, without overflow


def find_onnx_folder(model: str) -> Path | None:
    """Return the folder `model` if it holds an ONNX graph and its tokenizer."""
    try:
        path = Path(model).expanduser().resolve()
        return path if (path / _GRAPH).is_file() and (path / _TOKENIZER).is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, no home: no path at all
        return None


def _open_session(graph: Path) -> Any:
    import onnxruntime  # noqa: PLC0415 - a tenth of a second that a process without a reranker need not wait

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(_MAX_THREADS, _count_cores())
    options.inter_op_num_threads = 1
    # Threads that spin between two texts would take the cores from the language model.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _count_cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
