"""Rewriting a generation of the index, so that its files no longer hold anything of erased documents.

Stores only mark deleted points. Their vectors, word hashes, sources and tags stay in segments and in the
write-ahead log, so the points that are left are copied to a new place and the old one is removed.

The copy is complete without stopping writers. Each of them writes to the old place, then to the copy (see
retrieval.index.relocatable). A batch that was copied is read again from the old place until it is unchanged:
a write that came before that reading is noticed, and a later one reaches the copy after the batch did.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final

from django.db.models.functions import Now

from cairn.errors import CairnError
from ingestion.failpoints import Fault, fault_point
from ingestion.reindexing.lease import GenerationLease, LeaseEnded
from retrieval.index.backends import index_backend
from retrieval.index.generations import open_indexes
from retrieval.index.protocol import StoredPoint, VectorStore
from retrieval.index.relocatable import Place, PlacedIndex, Places
from retrieval.index.word_hashes import apply_word_key
from retrieval.models import GenerationState, IndexGeneration, new_word_key

log = logging.getLogger(__name__)

BATCH: Final = 64  # points read and written per call: Qdrant Edge blocks the whole process for some 5 ms
_REST: Final = 1.0  # of the time that a batch took, so that questions are answered in between
_RENEW_SECONDS: Final = 2.0
AGAIN_AFTER: Final = timedelta(seconds=10)


def rewrite(lease: GenerationLease) -> None:
    """Rewrite a generation. After an interruption, leftovers are removed and it starts over.

    After a failure the old place stays in use, and the row has the reason and the time of the next attempt.
    """
    try:
        _rewrite(lease)
    except LeaseEnded:
        raise
    except (CairnError, OSError) as error:
        _postpone(lease, error)


def _rewrite(lease: GenerationLease) -> None:
    generation = lease.generation
    generation.refresh_from_db()
    erasures = generation.remains  # points of later erasures may be copied before they are deleted
    index = open_indexes.of(generation)
    remove_leftovers(generation, index)
    serving = index.follow().serving
    index_backend().require_room(serving.name)
    copy = Place(f"{generation.name}-{uuid.uuid4().hex[:8]}", serving.word_key or new_word_key())
    lease.renew(next_place=copy.name, next_word_key=copy.word_key)  # recorded before it exists
    index.add(copy.name, index_backend().create(copy.name, generation.dimension))
    _announce(lease, index, serving, copy)
    _copy(lease, index, serving, copy)
    fault_point(Fault.REWRITE_BEFORE_SWITCH)
    _switch(lease, index, serving, copy)
    fault_point(Fault.REWRITE_AFTER_SWITCH)
    remove_leftovers(generation, index)
    lease.renew(rewritten=erasures, rewrite_error="", rewrite_after=None, **_graph_lost(generation))
    log.info("index generation %s was rewritten to %s", generation.name, copy.name)


def _graph_lost(generation: IndexGeneration) -> dict[str, object]:
    """A copy has no HNSW graph. A generation that waits to be swapped in is finished again to get one."""
    if generation.state == GenerationState.READY and not generation.swap_requested and generation.optimised:
        return {"optimised": False, "state": GenerationState.BUILDING}
    return {"optimised": False}


def _postpone(lease: GenerationLease, error: CairnError | OSError) -> None:
    reason = error.message if isinstance(error, CairnError) else str(error)
    log.warning("index generation %s was not rewritten: %s", lease.generation.name, reason)
    rows = IndexGeneration.objects.filter(pk=lease.generation.pk, lease=lease.token)
    rows.update(rewrite_error=reason, rewrite_after=Now() + AGAIN_AFTER)
    with suppress(CairnError, OSError):  # the next attempt removes it
        remove_leftovers(lease.generation, open_indexes.of(lease.generation))


def remove_leftovers(generation: IndexGeneration, index: PlacedIndex) -> None:
    """Remove the places that the row names besides the serving one: an unfinished copy, and the old place."""
    rows = IndexGeneration.objects.filter(pk=generation.pk)
    rows.update(copying=False)
    index.move_to(Places(index.follow().serving))
    for name in filter(None, rows.values_list("next_place", "old_place").get()):
        index.release(name)
        index_backend().remove(name)
    rows.update(next_place="", next_word_key=b"", old_place="")


def _announce(lease: GenerationLease, index: PlacedIndex, serving: Place, copy: Place) -> None:
    """Have every writer write to the copy as well."""
    lease.renew(copying=True)
    index.move_to(Places(serving, copy))


def _switch(lease: GenerationLease, index: PlacedIndex, serving: Place, copy: Place) -> None:
    lease.renew()
    rows = IndexGeneration.objects.filter(
        pk=lease.generation.pk, lease=lease.token, copying=True, next_place=copy.name
    )
    changes = {"place": copy.name, "word_key": copy.word_key, "next_place": "", "next_word_key": b""}
    if not rows.update(copying=False, old_place=serving.name, **changes):
        raise LeaseEnded  # a writer gave the copy up, or another process has the lease
    index.move_to(Places(copy))


def _copy(lease: GenerationLease, index: PlacedIndex, serving: Place, copy: Place) -> None:
    source, target = index.store(serving.name), index.store(copy.name)
    key = copy.word_key if copy.word_key != serving.word_key else b""
    start: uuid.UUID | None = None
    renewed_at = time.monotonic()
    while True:
        began = time.monotonic()
        page = source.read_page(start, limit=BATCH)
        _copy_batch(page.points, source, target, key)
        fault_point(Fault.REWRITE_WHILE_COPYING)
        if (start := page.following) is None:
            break
        time.sleep((time.monotonic() - began) * _REST)
        if time.monotonic() - renewed_at > _RENEW_SECONDS:
            lease.renew()
            renewed_at = time.monotonic()
    target.finish_copy()


def _copy_batch(points: Sequence[StoredPoint], source: VectorStore, target: VectorStore, key: bytes) -> None:
    """Copy points until the source is unchanged, as writers may change it in between."""
    ids = [point.id for point in points]
    written: dict[uuid.UUID, StoredPoint | None] = dict.fromkeys(ids)
    now = {point.id: point for point in points}
    while changed := {each: now.get(each) for each in ids if now.get(each) != written[each]}:
        target.write_points([_rekey_point(point, key) for point in changed.values() if point])
        if gone := [each for each, point in changed.items() if point is None]:
            target.delete_points(gone)
        written |= changed
        now = source.read_points(ids)


def _rekey_point(point: StoredPoint, key: bytes) -> StoredPoint:
    return replace(point, sparse=apply_word_key(point.sparse, key)) if key and point.sparse else point
