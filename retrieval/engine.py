"""The parts that searching, answering and ingestion work with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from llama_index.core.llms import ChatMessage

from cairn.inference.models import chat_model, embedder
from cairn.inference.protocols import AnswerReader, Embedder, NaturalLanguageInference, Reranker
from retrieval.answering.protocols import ChatModel
from retrieval.configured import configured_inference, configured_reader, configured_reranker
from retrieval.index.factory import active_index
from retrieval.index.protocol import VectorIndex


@dataclass(frozen=True, slots=True)
class Engine:
    embedder: Embedder
    index: VectorIndex
    chat: ChatModel
    reranker: Reranker | None = None
    reader: AnswerReader | None = None
    inference: NaturalLanguageInference | None = None


class ConfiguredChat:
    """Loaded when it is first asked for: search and ingestion go on without a model that cannot be."""

    @property
    def name(self) -> str:
        return chat_model().name

    @property
    def context_tokens(self) -> int:
        return chat_model().context_tokens

    def count_tokens(self, text: str) -> int:
        return chat_model().count_tokens(text)

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        return chat_model().stream(messages, max_tokens=max_tokens)


class _Given:
    parts: Engine | None = None


def engine() -> Engine:
    """As configured. Raises Unavailable or ConfigurationError if embedder or index cannot be had."""
    return _Given.parts or Engine(
        embedder(),
        active_index(),
        ConfiguredChat(),
        configured_reranker(),
        configured_reader(),
        configured_inference(),
    )


@contextmanager
def use(parts: Engine) -> Iterator[Engine]:
    """Other parts for a while, in every thread."""
    before, _Given.parts = _Given.parts, parts
    try:
        yield parts
    finally:
        _Given.parts = before
