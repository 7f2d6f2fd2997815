"""Hand-written fakes of the protocols, small and deterministic; texts with common words are similar."""

import re
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np
from llama_index.core.llms import ChatMessage

from cairn.errors import Unavailable
from cairn.inference.protocols import Batching, Inference, Vectors

_WORD = re.compile(r"\w+")


class FakeEmbedder:
    """Texts with the same words have near vectors. `broken` makes it unreachable."""

    def __init__(self, *, model: str = "fake-words", dimension: int = 256, max_tokens: int = 254) -> None:
        self.model = model
        self.dimension = dimension
        self.max_tokens = max_tokens
        self.batching = Batching(texts=32, tokens=8192, at_once=1)
        self.broken = False
        self.batches: list[int] = []
        self.queries: list[str] = []

    def embed_query(self, text: str) -> Vectors:
        self.queries.append(text)
        return self._vector(text)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(len(texts))
        return np.stack([self._vector(text) for text in texts])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(_WORD.findall(text)) for text in texts]

    def _vector(self, text: str) -> Vectors:
        if self.broken:
            raise Unavailable("The embedding model is not reachable.")
        vector = np.zeros(self.dimension, dtype=np.float32)
        for word in _WORD.findall(text.lower()):
            vector[crc32(word.encode()) % self.dimension] += 1.0
        norm = float(np.linalg.norm(vector))
        vector[0] += 0.0 if norm else 1.0  # a text without words has a direction as well
        return vector / (norm or 1.0)


class FakeReranker:
    """Ranks by how often a text contains a word; records the texts. `failure` is raised instead."""

    name = "fake-reranker"

    def __init__(
        self,
        word: str = "best",
        *,
        failure: Exception | None = None,
        max_texts: int = 100,
        languages: frozenset[str] | None = None,
    ) -> None:
        self.failure = failure
        self.max_texts = max_texts
        self.languages = languages
        self.texts: list[str] = []
        self._word = word

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.texts += texts
        if self.failure is not None:
            raise self.failure
        return [float(text.lower().count(self._word)) for text in texts]


class FakeReader:
    """Rates passages by their content; records its questions. `failure` is raised instead."""

    name = "fake-reader"

    def __init__(self, sure: dict[str, float] | None = None, *, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self._sure = sure or {}

    def answerable(self, question: str, passages: Sequence[str]) -> list[float]:
        self.asked.append((question, tuple(passages)))
        if self.failure is not None:
            raise self.failure
        return [
            max((sure for part, sure in self._sure.items() if part in text), default=0.5) for text in passages
        ]


class FakeInference:
    """Knows by heart what entails or contradicts a hypothesis: (part of the premise, hypothesis)."""

    name = "fake-nli"

    def __init__(
        self, known: dict[tuple[str, str], Inference] | None = None, *, failure: Exception | None = None
    ) -> None:
        self.failure = failure
        self.batches: list[list[tuple[str, str]]] = []
        self._known = known or {}

    def infer(self, pairs: Sequence[tuple[str, str]]) -> list[Inference]:
        self.batches.append(list(pairs))
        if self.failure is not None:
            raise self.failure
        return [self._inferred(premise, hypothesis) for premise, hypothesis in pairs]

    def _inferred(self, premise: str, hypothesis: str) -> Inference:
        for (part, claim), inference in self._known.items():
            if part in premise and claim == hypothesis:
                return inference
        return Inference(entailment=0.0, contradiction=0.0)


class FakeChat:
    """Emits its lines in order and repeats the last one; records prompts.

    `broken_after`: fails after that many pieces.
    """

    def __init__(self, *lines: str, context_tokens: int = 4096, broken_after: int | None = None) -> None:
        self.name = "fake-chat"
        self.context_tokens = context_tokens
        self.prompts: list[list[ChatMessage]] = []
        self.closed = 0
        self._lines = lines or ("The passages do not say.",)
        self._broken_after = broken_after

    def count_tokens(self, text: str) -> int:
        return len(_WORD.findall(text))

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, background: bool = False
    ) -> Iterator[str]:
        self.prompts.append(list(messages))
        line = self._lines[min(len(self.prompts), len(self._lines)) - 1]
        return self._said(line, max_tokens)

    def _said(self, line: str, max_tokens: int) -> Iterator[str]:
        """Counts in `closed` the streams that were ended before their end."""
        try:
            for number, piece in enumerate(re.findall(r"\S+\s*", line)[:max_tokens]):
                if number == self._broken_after:
                    raise Unavailable("The chat model is not reachable.")
                yield piece
        except GeneratorExit:
            self.closed += 1
            raise
