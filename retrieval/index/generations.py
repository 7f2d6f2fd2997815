"""Registry of the open index generations of this process, and the active one."""

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Embedder
from cairn.inference.registry import EmbedderChoice, configured_embedder, embedder
from retrieval.index.backends import index_backend
from retrieval.index.protocol import VectorStore
from retrieval.index.relocatable import Place, PlacedIndex, Places
from retrieval.models import GenerationState, IndexGeneration

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """A generation with the model that made its vectors: they are only available together."""

    generation: IndexGeneration
    embedder: Embedder
    index: PlacedIndex


def places_of(generation: IndexGeneration) -> Places:
    serving = Place(generation.place or generation.name, bytes(generation.word_key))
    if not generation.copying:
        return Places(serving)
    return Places(serving, Place(generation.next_place, bytes(generation.next_word_key)))


class InThisProcess:
    """An index that is not shared: only the process that has the folders open can move the points."""

    def __init__(self, generation: IndexGeneration) -> None:
        self._generation = generation.pk
        row = IndexGeneration.objects.filter(pk=generation.pk).first() or generation
        self.places = Places(places_of(row).serving)  # a copy that a dead process began is made again

    def look(self) -> Places:
        return self.places

    def record_move(self, places: Places) -> None:
        self.places = places

    def drop_copy(self, copy: Place) -> None:
        if self.places.copy == copy:
            self.places = Places(self.places.serving)
        give_up_copy(self._generation, copy)


class InTheDatabase:
    """A shared index: any process may move the points, and says so in the generation's row."""

    def __init__(self, generation: IndexGeneration) -> None:
        self._generation = generation.pk

    def look(self) -> Places:
        row = IndexGeneration.objects.filter(pk=self._generation).only(*_PLACE_FIELDS).first()
        if row is None:
            raise Unavailable("This index was removed.")
        return places_of(row)

    def record_move(self, places: Places) -> None: ...

    def drop_copy(self, copy: Place) -> None:
        give_up_copy(self._generation, copy)


_PLACE_FIELDS = ("name", "place", "word_key", "next_place", "next_word_key", "copying")


def give_up_copy(generation: uuid.UUID, copy: Place) -> None:
    log.warning("cannot write the copy of index generation %s: the rewrite will restart", generation)
    IndexGeneration.objects.filter(pk=generation, next_place=copy.name).update(copying=False)


class OpenIndexes:
    """Open indexes by generation, shared by all threads. Edge allows only one handle for each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[uuid.UUID, PlacedIndex] = {}
        self._closed_exclusively: set[uuid.UUID] = set()

    def of(self, generation: IndexGeneration) -> PlacedIndex:
        if (index := self._open.get(generation.id)) is not None:
            return index
        with self._lock:
            if generation.id in self._closed_exclusively:
                raise Unavailable("This index is being optimised.")
            if generation.id not in self._open:
                index = _create_placed_index(generation)
                index.open()
                self._open[generation.id] = index
            return self._open[generation.id]

    def add(self, generation: IndexGeneration, store: VectorStore) -> PlacedIndex:
        """Use the store that was just created for the generation."""
        index = _create_placed_index(generation)
        index.add(places_of(generation).serving.name, store)
        with self._lock:
            self._open[generation.id] = index
        return index

    @contextmanager
    def close_exclusively(self, generation: IndexGeneration) -> Iterator[None]:
        """Close a generation for a process that needs it exclusively; opening it meanwhile raises
        Unavailable."""
        with self._lock:
            self._closed_exclusively.add(generation.id)
            index = self._open.pop(generation.id, None)
        try:
            if index is not None:
                index.close()
            yield
        finally:
            with self._lock:
                self._closed_exclusively.discard(generation.id)

    def close(self, generation: uuid.UUID) -> None:
        with self._lock:
            index = self._open.pop(generation, None)
        if index is not None:
            index.close()

    def close_all(self) -> None:
        for generation in list(self._open):
            self.close(generation)


open_indexes = OpenIndexes()


def _create_placed_index(generation: IndexGeneration) -> PlacedIndex:
    backend = index_backend()
    whereabouts = InTheDatabase(generation) if backend.shared else InThisProcess(generation)
    return PlacedIndex(whereabouts, lambda name: backend.open(name, generation.dimension))


class _Answering:
    """The pair that answered the last question, and the lock for getting another."""

    lock = threading.Lock()
    opened: Opened | None = None


def active() -> Opened:
    """The pair that answers now. Looks into the table: another process may have swapped.

    Made at the first start. Raises ConfigurationError if the model that made its vectors cannot be had.
    """
    row = _active_row()
    if (opened := _same(row)) is not None:
        return opened
    with _Answering.lock:
        row = _active_row()  # the process that had the lock may have begun one
        opened = _same(row) or (_begin() if row is None else open_generation(row))
        _Answering.opened = opened
        return opened


def _same(row: IndexGeneration | None) -> Opened | None:
    """Return the row's current state."""
    last = _Answering.opened
    if row is None or last is None or last.generation.pk != row.pk:
        return None
    if last.generation.place != row.place:  # another process has moved it
        last.index.follow()
        last = _Answering.opened = Opened(row, last.embedder, last.index)
    return Opened(row, last.embedder, last.index)


def active_index() -> PlacedIndex:
    return active().index


def find_active_index() -> PlacedIndex | None:
    """Return the index that answers now, or None before the first one is made, and make none."""
    return active().index if _active_row() else None


def active_generation() -> IndexGeneration:
    return _active_row() or active().generation


def close_index() -> None:
    """The next use opens what it needs again."""
    with _Answering.lock:
        _Answering.opened = None
        open_indexes.close_all()


def open_generation(generation: IndexGeneration) -> Opened:
    """Open any generation with its model. Raises ConfigurationError if that has changed or is gone."""
    model = embedder(choice_of(generation))
    _require_same_space(generation, model)
    if not generation.encoder:
        _remember(generation)
    return Opened(generation, model, open_indexes.of(generation))


def choice_of(generation: IndexGeneration) -> EmbedderChoice:
    """Return the generation's model; older generations without a record used the configured one."""
    if generation.encoder:
        return EmbedderChoice(generation.encoder, generation.served)
    return configured_embedder()


def _remember(generation: IndexGeneration) -> None:
    choice = configured_embedder()
    generation.encoder, generation.served = choice.model, choice.served
    generation.save(update_fields=["encoder", "served"])


def still_answers(generation: IndexGeneration) -> bool:
    """Lock the active generation for the rest of the transaction: a swap waits for it and applies its
    changes."""
    answering = IndexGeneration.objects.active().filter(pk=generation.pk)
    return answering.select_for_update().values_list("pk").first() is not None


def choice_in_use() -> EmbedderChoice:
    """Return the model that embedded the last question, without loading anything or using the database."""
    last = _Answering.opened
    return choice_of(last.generation) if last else configured_embedder()


def unlike_configured(generation: IndexGeneration) -> str:
    """A sentence, if EMBEDDING_MODEL or EMBEDDING_BASE_URL name another model than the one that answers."""
    used, configured = choice_of(generation), configured_embedder()
    if used == configured:
        return ""
    return (
        f"The documents are embedded with {_describe_model(used)}, which is used; "
        f"{_describe_model(configured)} is configured. "
        f"To change over, run manage.py reindex --embedding-model {configured.model} --swap; to keep it, "
        "change the setting."
    )


def _describe_model(choice: EmbedderChoice) -> str:
    return f"{choice.model} of EMBEDDING_BASE_URL" if choice.served else choice.model


def _active_row() -> IndexGeneration | None:
    try:
        return IndexGeneration.objects.active().get()
    except IndexGeneration.DoesNotExist:
        return None


def _begin() -> Opened:
    """The row first: of several processes that start together, one gets to make the index."""
    choice = configured_embedder()
    model = embedder(choice)
    try:
        with transaction.atomic():
            first = IndexGeneration.objects.create(
                name=new_name(),
                embedding_model=model.model,
                dimension=model.dimension,
                encoder=choice.model,
                served=choice.served,
                state=GenerationState.ACTIVE,
                activated_at=timezone.now(),
            )
            index = index_backend().create(first.name, first.dimension)
    except IntegrityError:
        return open_generation(IndexGeneration.objects.active().get())
    return Opened(first, model, open_indexes.add(first, index))


def new_name() -> str:
    return f"{timezone.now():%Y%m%d}-{uuid.uuid4().hex[:8]}"


def _require_same_space(generation: IndexGeneration, model: Embedder) -> None:
    indexed = f"{generation.embedding_model} ({generation.dimension} numbers)"
    found = f"{model.model} ({model.dimension} numbers)"
    if indexed != found:
        name = generation.encoder or "EMBEDDING_MODEL"
        raise ConfigurationError(
            f"The documents were embedded with {indexed}, but {name} is {found} now. Vectors of two models "
            f"cannot be compared. Put {name} back as it was; then manage.py reindex can change to another."
        )
