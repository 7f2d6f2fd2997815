"""The engine: the models and index that search, answering and ingestion use."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from llama_index.core.llms import ChatMessage

from cairn.inference.chat import LlamaIndexChatModel
from cairn.inference.protocols import AnswerReader, Embedder, NaturalLanguageInference, Reranker
from cairn.inference.registry import (
    answer_reader,
    chat_model,
    inside_chat_model,
    language_inference,
    lazy,
    reranker,
)
from cairn.inference.reranking import reranks
from cairn.settings import Environment, environment
from cairn.settings.stored.store import effective_environment
from retrieval.answering.protocols import ChatModel
from retrieval.index.generations import Opened, active
from retrieval.index.protocol import VectorIndex
from retrieval.models import IndexGeneration


@dataclass(frozen=True, slots=True)
class Engine:
    """Fetched once per question: its embedder is the one that made the vectors of its index.

    `reranker` ranks the hits of every search, `answer_reranker` only those that an answer is written from.
    `writes_answers`: if not, answers are quotes, and the chat model isn't asked. `candidate`: the settings
    with which another chat model than the configured one answers; None for the configured one.
    """

    embedder: Embedder
    index: VectorIndex
    chat: ChatModel
    reranker: Reranker | None = None
    answer_reranker: Reranker | None = None
    reader: AnswerReader | None = None
    inference: NaturalLanguageInference | None = None
    generation: IndexGeneration | None = None
    writes_answers: bool = True
    candidate: Environment | None = None

    @property
    def settings(self) -> Environment:
        return self.candidate or effective_environment()

    def for_answers(self) -> "Engine":
        """Return the engine that searches for the evidence of answers."""
        return replace(self, reranker=self.answer_reranker or self.reranker)


@dataclass(frozen=True, slots=True)
class ConfiguredChat:
    """Loaded when it is first asked for: search and ingestion go on without a model that cannot be.

    `background`: whatever people ask comes first. `inside`: the model that answers where the outside one may
    not, in place of the one that answers otherwise."""

    background: bool = False
    inside: bool = False

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def context_tokens(self) -> int:
        return self._model.context_tokens

    def count_tokens(self, text: str) -> int:
        return self._model.count_tokens(text)

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        return self._model.stream(messages, max_tokens=max_tokens, background=self.background)

    @property
    def _model(self) -> LlamaIndexChatModel:
        return inside_chat_model() if self.inside else chat_model()


def in_background(chat: ChatModel) -> ChatModel:
    """Return the chat model with low priority, for background work."""
    return replace(chat, background=True) if isinstance(chat, ConfiguredChat) else chat


class _Override:
    engine: Engine | None = None


def get_engine() -> Engine:
    """Return the active engine. Raises Unavailable or ConfigurationError without embedder or index."""
    return _Override.engine or engine_of(active())


def engine_of(opened: Opened) -> Engine:
    configured = lazy(reranker) if reranks(environment()) else None
    # The packaged one takes many times as long as a search, but little compared with writing an answer.
    packaged = environment().has_packaged_reranker
    return Engine(
        opened.embedder,
        opened.index,
        ConfiguredChat(),
        None if packaged else configured,
        configured if packaged else None,
        lazy(answer_reader) if environment().answerability_model else None,
        lazy(language_inference) if environment().grounding_model else None,
        opened.generation,
        effective_environment().writes_answers,
    )


@contextmanager
def use(engine: Engine) -> Iterator[Engine]:
    """Replace the engine temporarily, in every thread."""
    before, _Override.engine = _Override.engine, engine
    try:
        yield engine
    finally:
        _Override.engine = before
