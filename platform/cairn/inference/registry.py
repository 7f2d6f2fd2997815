"""The models of this process, each loaded once, at its first use."""

import atexit
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

from cairn.errors import CairnError, ConfigurationError, Unavailable
from cairn.inference.chat import LlamaIndexChatModel, open_chat_model
from cairn.inference.cross_encoders import open_inference, open_reader
from cairn.inference.embedding import open_embedder
from cairn.inference.protocols import AnswerReader, Embedder, NaturalLanguageInference
from cairn.inference.reranking import TimelyReranker, open_reranker
from cairn.settings import Environment, environment
from cairn.settings.stored.store import effective_environment, inside_environment

T = TypeVar("T")
NOT_LOADED: Final = "not loaded yet"
"""The detail of a model that hasn't been used in this process."""
_ENDING_SECONDS = 600  # longer than any answer
_HEALTH_SECONDS = 10  # a served model is asked no more often than this


@dataclass(frozen=True, slots=True)
class Health:
    """`detail`: the model's name, or the problem."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class EmbedderChoice:
    """`model`: a name or path as in EMBEDDING_MODEL. `served`: by EMBEDDING_BASE_URL, not in this process."""

    model: str
    served: bool


class _Slot(Generic[T]):
    """Loads a model at most once, even if threads request it at the same time. Failed loads are retried."""

    def __init__(self, load: Callable[[], T]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self.loaded: T | None = None
        self.health: tuple[float, Health] | None = None

    def get(self) -> T:
        if (model := self.loaded) is not None:
            return model
        with self._lock:
            if self.loaded is None:
                self.loaded = self._load()
            return self.loaded

    @contextmanager
    def replace(self, model: T | None) -> Iterator[None]:
        before = self.loaded
        self.loaded, self.health = (before if model is None else model), None
        try:
            yield
        finally:
            self.loaded, self.health = before, None

    def check_health(self, check: Callable[[T], str]) -> Health:
        """`check` returns the model's name or raises. A fresh result is returned again."""
        if self.loaded is None:
            return Health(ok=False, detail=NOT_LOADED)
        if self.health and time.monotonic() - self.health[0] < _HEALTH_SECONDS:
            return self.health[1]
        try:
            health = Health(ok=True, detail=check(self.loaded))
        except CairnError as error:
            health = Health(ok=False, detail=error.message)
        self.health = (time.monotonic(), health)
        return health


class _ChatSlots:
    """The slot of the chat model that the settings name now, which admins may change meanwhile.

    `settings`: returns the environment that names it.
    """

    def __init__(self, settings: Callable[[], Environment] = effective_environment) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened_with: Mapping[str, object] | None = None
        self._replacing = False
        self._ending: dict[int, LlamaIndexChatModel] = {}
        self.last = _Slot(self._open)
        """That of the model used last, whatever the settings say by now."""

    def current(self) -> _Slot[LlamaIndexChatModel]:
        settings = _chat_settings(self._settings())
        with self._lock:
            is_current = self.last.loaded is None or self._opened_with in (None, settings)
            if is_current or self._replacing:
                return self.last
            self._replacing = True
        try:
            return self._replace()
        finally:
            self._replacing = False

    def close(self) -> None:
        """Close the model, and those that were replaced and may still answer."""
        with self._lock:
            models = [*self._ending.values(), *filter(None, [self.last.loaded])]
            self.last.loaded = None
            self._ending.clear()
        for model in models:
            model.close()

    def _open(self) -> LlamaIndexChatModel:
        given = self._settings()
        model = open_chat_model(given)
        self._opened_with = _chat_settings(given)
        return model

    def _replace(self) -> _Slot[LlamaIndexChatModel]:
        """Load the new model while others use the old one, and let answers of the old one end."""
        slot = _Slot(self._open)
        with suppress(CairnError):  # the user of the model gets the error
            slot.get()
        with self._lock:
            before, self.last = self.last.loaded, slot
            if before is not None:
                self._ending[id(before)] = before
        if before is not None:
            ending = threading.Timer(_ENDING_SECONDS, self._end, [before])
            ending.daemon = True
            ending.start()
        return slot

    def _end(self, model: LlamaIndexChatModel) -> None:
        with self._lock:
            is_open = self._ending.pop(id(model), None) is not None
        if is_open:
            model.close()


def _chat_settings(given: Environment) -> Mapping[str, object]:
    return {name: getattr(given, name) for name in type(given).model_fields if name.startswith("llm_")}


_embedders: dict[EmbedderChoice, _Slot[Embedder]] = {}
_chat = _ChatSlots()
_reranker: _Slot[TimelyReranker] = _Slot(lambda: open_reranker(environment()))
_reader: _Slot[AnswerReader] = _Slot(lambda: open_reader(environment()))
_inference: _Slot[NaturalLanguageInference] = _Slot(lambda: open_inference(environment()))


def configured_embedder() -> EmbedderChoice:
    return EmbedderChoice(environment().embedding_model, served=bool(environment().embedding_base_url))


def embedder(choice: EmbedderChoice | None = None) -> Embedder:
    """The configured one if none is chosen."""
    return _slot(choice).get()


def forget_embedder(choice: EmbedderChoice) -> None:
    """Drop an embedder. Its memory is freed once it is no longer used."""
    _embedders.pop(choice, None)


def _slot(choice: EmbedderChoice | None) -> _Slot[Embedder]:
    chosen = choice or configured_embedder()
    return _embedders.setdefault(chosen, _Slot(lambda: _open(chosen)))


def _open(choice: EmbedderChoice) -> Embedder:
    url = environment().embedding_base_url
    if choice.served and not url:
        raise ConfigurationError(f"{choice.model} was served by EMBEDDING_BASE_URL, which is no longer set.")
    chosen = {"embedding_model": choice.model, "embedding_base_url": url if choice.served else None}
    return open_embedder(environment().model_copy(update=chosen))


def chat_model() -> LlamaIndexChatModel:
    return _chat.current().get()


def inside_chat_model() -> LlamaIndexChatModel:
    """Return the model that answers where the outside one may not. Raises Unavailable if there is none."""
    return _inside_chat.current().get()


def _inside_settings() -> Environment:
    if (found := inside_environment()) is None:
        raise Unavailable("No language model inside the organisation is active")
    return found


_inside_chat = _ChatSlots(_inside_settings)
_candidate_chats: dict[tuple[object, ...], _Slot[LlamaIndexChatModel]] = {}
_candidate_lock = threading.Lock()


def candidate_chat_model(settings: Environment) -> LlamaIndexChatModel:
    """Return the model with these settings, which answers some people in place of the configured one. Those
    of other settings are closed once their answers have ended."""
    choice = tuple(_chat_settings(settings).values())
    with _candidate_lock:
        slot = _candidate_chats.get(choice)
        if slot is None:
            _close_later(list(_candidate_chats.values()))
            _candidate_chats.clear()
            slot = _candidate_chats[choice] = _Slot(lambda: open_chat_model(settings))
    return slot.get()


def _close_later(slots: Sequence[_Slot[LlamaIndexChatModel]]) -> None:
    for slot in slots:
        if slot.loaded is not None:
            ending = threading.Timer(_ENDING_SECONDS, slot.loaded.close)
            ending.daemon = True
            ending.start()


def loaded_chat_model() -> LlamaIndexChatModel | None:
    """Return the chat model if it has been loaded, else None."""
    return _chat.current().loaded


def reranker() -> TimelyReranker:
    return _reranker.get()


def answer_reader() -> AnswerReader:
    return _reader.get()


def language_inference() -> NaturalLanguageInference:
    return _inference.get()


def embedder_health(choice: EmbedderChoice | None = None) -> Health:
    return _slot(choice).check_health(_embeds)


def chat_health() -> Health:
    return _chat.current().check_health(_chats)


def reranker_health() -> Health:
    return _reranker.check_health(_reranks)


def answer_reader_health() -> Health:
    return _reader.check_health(_reads)


def language_inference_health() -> Health:
    return _inference.check_health(_infers)


class _Lazy:
    """Loads a model when one of its attributes is used."""

    def __init__(self, load: Callable[[], object]) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)


def lazy(load: Callable[[], T]) -> T:
    """Return a model that is loaded at its first use."""
    return cast("T", _Lazy(load))


@contextmanager
def use(
    *,
    embedder: Embedder | None = None,
    chat: LlamaIndexChatModel | None = None,
    inside_chat: LlamaIndexChatModel | None = None,
    reranker: TimelyReranker | None = None,
    reader: AnswerReader | None = None,
    inference: NaturalLanguageInference | None = None,
) -> Iterator[None]:
    """Use other models for a while, in every thread. `embedder` replaces the configured one."""
    with (
        _slot(None).replace(embedder),
        _chat.current().replace(chat),
        _inside_chat.last.replace(inside_chat),
        _reranker.replace(reranker),
        _reader.replace(reader),
        _inference.replace(inference),
    ):
        yield


def close() -> None:
    """Stop running answers: the process would crash if it ended during one."""
    _chat.close()
    _inside_chat.close()
    with _candidate_lock:
        candidates = [slot.loaded for slot in _candidate_chats.values() if slot.loaded is not None]
        _candidate_chats.clear()
    for candidate in candidates:
        candidate.close()
    ranks, _reranker.loaded = _reranker.loaded, None
    if ranks is not None:
        ranks.close()


def _embeds(model: Embedder) -> str:
    if not model.embed_query("ping").any():
        raise Unavailable("The embedding model returns zero vectors")
    return model.model


def _chats(model: LlamaIndexChatModel) -> str:
    model.probe()
    return model.name


def _reranks(model: TimelyReranker) -> str:
    model.probe()
    return model.name


def _reads(model: AnswerReader) -> str:
    model.answerable("Ping?", ["Pong."])
    return model.name


def _infers(model: NaturalLanguageInference) -> str:
    model.infer([("Pong.", "Ping.")])
    return model.name


atexit.register(close)
