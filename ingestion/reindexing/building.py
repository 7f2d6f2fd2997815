"""What is done to a generation from its row to its removal. Each step may be interrupted and done again."""

import logging
import subprocess
import time
from functools import partial
from typing import Final

from django.db import transaction
from django.utils import timezone

from cairn.audit.services import record
from cairn.errors import CairnError, Conflict, Unavailable
from cairn.inference.models import embedder, forget_embedder
from ingestion.faults import Fault, fault_point
from ingestion.reindexing.catching_up import CatchingUp, Vectorise, copied_from, embedded_by
from ingestion.reindexing.contents import at_most, note_active
from ingestion.reindexing.lease import GenerationLease
from ingestion.reindexing.pace import make_way
from ingestion.reindexing.rewriting import rewrite
from retrieval.index.factory import (
    Opened,
    active,
    choice_of,
    open_indexes,
    opened_generation,
    places_of,
    unlike_configured,
)
from retrieval.index.stores import create_index, optimising, remove_index
from retrieval.models import GenerationState, IndexGeneration

log = logging.getLogger(__name__)

FEW: Final = 16  # documents that are brought in while nobody else can write
ROUNDS: Final = 50
_LOOK_SECONDS: Final = 0.1


def work_on(lease: GenerationLease) -> None:
    if lease.rewriting:
        rewrite(lease)
        return
    match lease.generation.state:
        case GenerationState.REMOVING:
            remove(lease)
        case GenerationState.BUILDING:
            build(lease)
        case _:
            swap(lease)


def build(lease: GenerationLease) -> None:
    """Ends as ready: optimised, and with no more than few differences to SQL."""
    generation = lease.generation
    if not generation.dimension:
        _begin(lease)
    _catch_up(lease, opened_generation(generation))
    if not generation.optimised:
        _optimise(lease)
        _catch_up(lease, opened_generation(generation))
    lease.become(GenerationState.READY)
    log.info("index generation %s is ready", generation.name)


def _begin(lease: GenerationLease) -> None:
    """The index first: a row that has a dimension has an index."""
    generation = lease.generation
    model = embedder(choice_of(generation))
    lease.keep()
    generation.embedding_model, generation.dimension = model.model, model.dimension
    remove_index(generation.name)  # of one who was interrupted here
    open_indexes.add(generation, create_index(generation.name, generation.dimension))
    lease.keep(embedding_model=model.model, dimension=model.dimension)


def _catch_up(lease: GenerationLease, opened: Opened) -> None:
    """Passes until one finds next to nothing: while documents keep coming, none would find nothing."""
    wait = partial(make_way, lease.keep)
    catching_up = CatchingUp(lease, opened.index, _vectorise(opened), wait)
    while catching_up.once() > FEW:
        lease.keep()


def _vectorise(opened: Opened) -> Vectorise:
    answering, embedded = active(), embedded_by(opened.embedder)
    if answering.generation.embedding_model != opened.generation.embedding_model:
        return embedded
    return copied_from(answering.index, embedded)


def _optimise(lease: GenerationLease) -> None:
    """In a child process, for which the index is closed meanwhile."""
    with open_indexes.kept_closed(lease.generation):
        child = optimising(places_of(lease.generation).serving.name)
        if child is not None:
            fault_point(Fault.REINDEX_WHILE_OPTIMISING)
            _wait_for(child, lease)
    lease.keep(optimised=True)
    lease.generation.optimised = True


def _wait_for(child: "subprocess.Popen[str]", lease: GenerationLease) -> None:
    try:
        while child.poll() is None:
            lease.keep()
            time.sleep(_LOOK_SECONDS)
    finally:
        child.kill()
        _, said = child.communicate()
    if child.returncode:
        raise Unavailable(f"The index could not be optimised: {said.strip().rpartition(chr(10))[2]}")


def swap(lease: GenerationLease) -> None:
    """From the commit on this generation answers; the one before it is kept, those before that go."""
    opened = opened_generation(lease.generation)
    opened.embedder.embed_query("warm")  # the first question need not wait for that
    _catch_up(lease, opened)
    at_once = CatchingUp(lease, opened.index, _vectorise(opened), make_way=lambda: None)
    for _ in range(ROUNDS):
        note_active(active().generation)
        fault_point(Fault.REINDEX_BEFORE_SWAP)
        if _swapped(lease, at_once):
            break
        at_once.once()
    else:
        lease.keep(swap_requested=False)
        raise Conflict("Documents change faster than this generation of the index can follow. Swap later.")
    fault_point(Fault.REINDEX_AFTER_SWAP)
    log.info("index generation %s answers now", opened.generation.name)
    if unlike := unlike_configured(opened.generation):
        log.warning(unlike)


def _swapped(lease: GenerationLease, catching_up: CatchingUp) -> bool:
    """Whoever makes a version searchable waits for this transaction, or this one for them."""
    with transaction.atomic():
        before = IndexGeneration.objects.select_for_update().get(state=GenerationState.ACTIVE)
        if not at_most(lease.generation, FEW):
            return False
        while catching_up.once():
            pass
        note_active(before)
        older = IndexGeneration.objects.filter(state=GenerationState.RETIRED).exclude(pk=lease.generation.pk)
        older.update(state=GenerationState.REMOVING)
        before.state = GenerationState.RETIRED
        before.save(update_fields=["state"])
        lease.become(GenerationState.ACTIVE, swap_requested=False, activated_at=timezone.now())
        record("index.swapped", actor=None, subject=f"generation:{lease.generation.id}", before=before.name)
    return True


def remove(lease: GenerationLease) -> None:
    """The row goes last: as long as it is there, somebody will finish this."""
    generation = lease.generation
    open_indexes.close(generation.id)
    generation.refresh_from_db()
    for place in (generation.place or generation.name, generation.next_place, generation.old_place):
        if place:
            remove_index(place)
    fault_point(Fault.REINDEX_WHILE_REMOVING)
    _forget_embedder(generation)
    generation.delete()


def _forget_embedder(generation: IndexGeneration) -> None:
    choice = choice_of(generation)
    rest = IndexGeneration.objects.exclude(pk=generation.pk)
    if choice not in map(choice_of, rest):
        forget_embedder(choice)


def failed(lease: GenerationLease, error: CairnError) -> None:
    """Nobody works on it until somebody asks for it again."""
    held = IndexGeneration.objects.filter(pk=lease.generation.pk, lease=lease.token)
    held.update(error=error.message, swap_requested=False)
