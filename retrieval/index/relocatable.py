"""The index of one generation, whose points can move to another place while it is used.

A rewrite copies the points to a new folder or collection and then removes the old one. Meanwhile every
writer writes to the old place first and to the copy second, then checks that the places are still the same,
and otherwise repeats the write. All writes can be repeated safely.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar
from uuid import UUID

from cairn.access.scope import Scope
from cairn.errors import CairnError, Unavailable
from cairn.inference.protocols import Vectors
from retrieval.index.protocol import Candidates, Filters, Point, Sparse, VectorStore
from retrieval.index.word_hashes import apply_word_key, with_keyed_words

_Result = TypeVar("_Result")
_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or collection, and the key of the word hashes in it."""

    name: str
    word_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Places:
    """Where points are read, and the copy that writers also update."""

    serving: Place
    copy: Place | None = None


class Whereabouts(Protocol):
    """Knows where the points of a generation are at this moment, in whichever process they were moved."""

    def look(self) -> Places: ...

    def record_move(self, places: Places) -> None:
        """Record that this process moved the points and updated the row."""

    def drop_copy(self, copy: Place) -> None:
        """Give the copy up: it could not be written, so it must not become the serving place."""


class PlacedIndex:
    """A VectorIndex. Safe to use from several threads."""

    def __init__(self, whereabouts: Whereabouts, open_store: Callable[[str], VectorStore]) -> None:
        self._whereabouts = whereabouts
        self._open_store = open_store
        self._lock = threading.Lock()
        self._stores: dict[str, VectorStore] = {}
        self._places: Places | None = None
        self._closed = False

    def add(self, name: str, store: VectorStore) -> None:
        """Use a store that was just created."""
        with self._lock:
            self._stores[name] = store

    def store(self, name: str) -> VectorStore:
        if (found := self._stores.get(name)) is not None:
            return found
        with self._lock:
            if self._closed:
                raise Unavailable("The vector index has been closed.")
            if name not in self._stores:
                self._stores[name] = self._open_store(name)
            return self._stores[name]

    def release(self, name: str) -> None:
        """Close the store of this name if it is open."""
        with self._lock:
            store = self._stores.pop(name, None)
        if store is not None:
            store.close()

    def move_to(self, places: Places) -> None:
        """Switch reads and writes to the new places, for the process that moves the points."""
        self._whereabouts.record_move(places)
        self._close_others(places)

    def _close_others(self, places: Places) -> None:
        """Close every other store."""
        self._places = places
        used = {places.serving.name, places.copy.name if places.copy else ""}
        for name in [name for name in self._stores if name not in used]:
            self.release(name)

    def open(self) -> None:
        """Open the store now, so that its errors are raised here."""
        self.store(self._look().serving.name)

    def follow(self) -> Places:
        """Look where the points are now."""
        return self._look()

    def upsert(self, points: Sequence[Point]) -> None:
        self._write(lambda store, key: store.upsert(with_keyed_words(points, key)))

    def delete_version(self, version: UUID) -> None:
        self._write(lambda store, _key: store.delete_version(version))

    def delete_document(self, document: UUID) -> None:
        self._write(lambda store, _key: store.delete_document(document))

    def set_fields(self, document: UUID, *, readers: Sequence[str], tags: Sequence[str]) -> None:
        self._write(lambda store, _key: store.set_fields(document, readers=readers, tags=tags))

    def query(
        self, dense: Vectors, sparse: Sparse, *, scope: Scope, filters: Filters, limit: int
    ) -> Candidates:
        def ask(store: VectorStore, key: bytes) -> Candidates:
            return store.query(dense, apply_word_key(sparse, key), scope=scope, filters=filters, limit=limit)

        return self._read(ask)

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, Vectors]:
        return self._read(lambda store, _key: store.vectors(ids))

    def count(self, *, document: UUID | None = None, version: UUID | None = None) -> int:
        return self._read(lambda store, _key: store.count(document=document, version=version))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            names = list(self._stores)
        for name in names:
            self.release(name)

    def _read(self, act: Callable[[VectorStore, bytes], _Result]) -> _Result:
        """Again if the points have moved meanwhile, and the place where they were is gone."""
        place = (self._places or self._look()).serving
        for _ in range(_ATTEMPTS):
            try:
                return act(self.store(place.name), place.word_key)
            except Unavailable:
                if (now := self._look().serving) == place:
                    raise
                place = now
        raise Unavailable("The vector index keeps moving.")

    def _write(self, act: Callable[[VectorStore, bytes], None]) -> None:
        places = self._look()
        for _ in range(_ATTEMPTS):
            written = self._try_write(act, places)
            if (now := self._look()) == places and written:
                return
            places = now
        raise Unavailable("The vector index keeps moving.")

    def _try_write(self, act: Callable[[VectorStore, bytes], None], places: Places) -> bool:
        """The serving place first: copying relies on this order."""
        try:
            act(self.store(places.serving.name), places.serving.word_key)
        except Unavailable:
            if self._look() == places:
                raise
            return False
        if places.copy is not None:
            self._write_copy(act, places.copy)
        return True

    def _write_copy(self, act: Callable[[VectorStore, bytes], None], copy: Place) -> None:
        """A failed copy must not fail the write: the copy is given up, and made again later."""
        try:
            act(self.store(copy.name), copy.word_key)
        except CairnError:
            self._whereabouts.drop_copy(copy)

    def _look(self) -> Places:
        places = self._whereabouts.look()
        if places != self._places:
            self._close_others(places)
        return places
