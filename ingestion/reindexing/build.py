"""Life cycle of an index generation, from its row to its removal. All steps can be resumed."""

import logging
import subprocess
import time
from functools import partial
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.audit.services import record
from cairn.errors import CairnError, Conflict, Unavailable
from cairn.inference.registry import embedder, forget_embedder
from ingestion.failpoints import Fault, fault_point
from ingestion.reindexing.diff import has_at_most, note_active
from ingestion.reindexing.index_rewrite import rewrite
from ingestion.reindexing.lease import GenerationLease
from ingestion.reindexing.sync import Synchronizer, Vectorise, copy_from, embed_with
from ingestion.reindexing.throttle import yield_to_users
from retrieval.index.backends import index_backend
from retrieval.index.generations import (
    Opened,
    active,
    choice_of,
    open_generation,
    open_indexes,
    places_of,
    unlike_configured,
)
from retrieval.models import GenerationState, IndexGeneration

log = logging.getLogger(__name__)

MAX_LOCKED_DOCUMENTS: Final = 16  # documents that are indexed while other writes are blocked
MAX_SWAP_ATTEMPTS: Final = 50
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
    """Build a generation until it is ready: optimised, with few differences to SQL left."""
    generation = lease.generation
    if not generation.dimension:
        _begin(lease)
    _catch_up(lease, open_generation(generation))
    if not generation.optimised:
        _optimise(lease)
        _catch_up(lease, open_generation(generation))
    lease.become(GenerationState.READY)
    log.info("index generation %s is ready", generation.name)


def _begin(lease: GenerationLease) -> None:
    """Create the index before the row gets a dimension: rows with a dimension have an index."""
    generation = lease.generation
    model = embedder(choice_of(generation))
    lease.renew()
    generation.embedding_model, generation.dimension = model.model, model.dimension
    index_backend().remove(generation.name)  # of one who was interrupted here
    open_indexes.add(generation, index_backend().create(generation.name, generation.dimension))
    lease.renew(embedding_model=model.model, dimension=model.dimension)


def _catch_up(lease: GenerationLease, opened: Opened) -> None:
    """Run passes until one finds few differences. With steady uploads no pass would find none."""
    wait = partial(yield_to_users, lease.renew)
    catching_up = Synchronizer(lease, opened.index, _vectorise(opened), wait)
    while catching_up.run_pass() > MAX_LOCKED_DOCUMENTS:
        lease.renew()


def _vectorise(opened: Opened) -> Vectorise:
    answering, embedded = active(), embed_with(opened.embedder)
    if answering.generation.embedding_model != opened.generation.embedding_model:
        return embedded
    return copy_from(answering.index, embedded)


def _optimise(lease: GenerationLease) -> None:
    """Optimise the index in a child process, with the index closed meanwhile."""
    with open_indexes.close_exclusively(lease.generation):
        child = index_backend().optimising(places_of(lease.generation).serving.name)
        if child is not None:
            fault_point(Fault.REINDEX_WHILE_OPTIMISING)
            _wait_for(child, lease)
    lease.renew(optimised=True)
    lease.generation.optimised = True


def _wait_for(child: "subprocess.Popen[str]", lease: GenerationLease) -> None:
    try:
        while child.poll() is None:
            lease.renew()
            time.sleep(_LOOK_SECONDS)
    finally:
        child.kill()
        _, stderr = child.communicate()
    if child.returncode:
        raise Unavailable(f"The index couldn’t be optimised: {stderr.strip().rpartition(chr(10))[2]}")


def swap(lease: GenerationLease) -> None:
    """Activate this generation. The previous one is retired, and earlier retired ones are removed."""
    opened = open_generation(lease.generation)
    opened.embedder.embed_query("warm")  # the first question need not wait for that
    _catch_up(lease, opened)
    at_once = Synchronizer(lease, opened.index, _vectorise(opened), make_way=lambda: None)
    for _ in range(MAX_SWAP_ATTEMPTS):
        note_active(active().generation)
        fault_point(Fault.REINDEX_BEFORE_SWAP)
        if _try_swap(lease, at_once):
            break
        at_once.run_pass()
    else:
        lease.renew(swap_requested=False)
        raise Conflict(
            gettext_noop("Documents are changing faster than the new index can catch up. Try again later.")
        )
    fault_point(Fault.REINDEX_AFTER_SWAP)
    log.info("index generation %s is active", opened.generation.name)
    if unlike := unlike_configured(opened.generation):
        log.warning(unlike)


def _try_swap(lease: GenerationLease, catching_up: Synchronizer) -> bool:
    """Swap in one transaction, which is serialised with the activation of versions."""
    with transaction.atomic():
        before = IndexGeneration.objects.active().select_for_update().get()
        if not has_at_most(lease.generation, MAX_LOCKED_DOCUMENTS):
            return False
        while catching_up.run_pass():
            pass
        note_active(before)
        older = IndexGeneration.objects.retired().exclude(pk=lease.generation.pk)
        older.update(state=GenerationState.REMOVING)
        before.state = GenerationState.RETIRED
        before.save(update_fields=["state"])
        lease.become(GenerationState.ACTIVE, swap_requested=False, activated_at=timezone.now())
        record("index.swapped", actor=None, subject=f"generation:{lease.generation.id}", before=before.name)
    return True


def remove(lease: GenerationLease) -> None:
    """Remove a generation. The row goes last, so that an interrupted removal is finished later."""
    generation = lease.generation
    open_indexes.close(generation.id)
    generation.refresh_from_db()
    for place in (generation.place or generation.name, generation.next_place, generation.old_place):
        if place:
            index_backend().remove(place)
    fault_point(Fault.REINDEX_WHILE_REMOVING)
    _forget_embedder(generation)
    generation.delete()


def _forget_embedder(generation: IndexGeneration) -> None:
    choice = choice_of(generation)
    rest = IndexGeneration.objects.exclude(pk=generation.pk)
    if choice not in map(choice_of, rest):
        forget_embedder(choice)


def record_failure(lease: GenerationLease, error: CairnError) -> None:
    """Record the error. No work happens on the generation until it is requested again."""
    rows = IndexGeneration.objects.filter(pk=lease.generation.pk, lease=lease.token)
    rows.update(error=error.message, swap_requested=False)
