"""Who works on a generation. Every write names the lease: who has lost it changes nothing any more."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from cairn.errors import CairnError
from cairn.library.models import Document, DocumentVersion
from ingestion.lifecycle import stopping
from ingestion.models import LEASE
from retrieval.models import GenerationState, IndexedVersion, IndexGeneration

_TO_DO = (
    Q(state=GenerationState.REMOVING)
    | Q(state=GenerationState.BUILDING)
    | Q(state__in=(GenerationState.READY, GenerationState.RETIRED), swap_requested=True)
)
_FREE = Q(lease=None) | Q(lease_until__lt=Now())


class Ended(CairnError):
    """The process is ending, somebody cancelled, something is more urgent, or another one has the lease."""


class Gone(CairnError):
    """The document was deleted or replaced meanwhile."""


@dataclass(frozen=True, slots=True)
class GenerationLease:
    """`rewriting`: held to rewrite the generation after an erasure, which comes before everything else."""

    generation: IndexGeneration
    token: uuid.UUID
    rewriting: bool = False

    def keep(self, **changes: object) -> None:
        """Raises Ended when the work should end here."""
        if stopping.is_set() or self._is_less_urgent():
            raise Ended
        held = IndexGeneration.objects.filter(
            pk=self.generation.pk, lease=self.token, state=self.generation.state
        )
        if not held.update(lease_until=Now() + LEASE, **changes):
            raise Ended

    def _is_less_urgent(self) -> bool:
        """Neither an erasure nor whoever asks for a swap waits until a build is over."""
        if self.rewriting or self.generation.state != GenerationState.BUILDING:
            return False
        if rewrites_due().filter(_FREE | Q(pk=self.generation.pk)).exists():
            return True
        return IndexGeneration.objects.filter(swap_requested=True, error="").exists()

    def become(self, state: GenerationState, **changes: object) -> None:
        self.keep(state=state, **changes)
        self.generation.state = state

    @contextmanager
    def writing(self, document: Document, version: DocumentVersion) -> Iterator[IndexedVersion]:
        """What of it is in the index, before it is. Raises Gone; an erasure waits until this ends."""
        with transaction.atomic():
            there = Document.objects.present().select_for_update(of=("self", "knowledge_base"))
            if not there.select_related("knowledge_base").filter(pk=document.pk, active_version=version):
                raise Gone
            self.keep(writing=document.pk)
            entry, _ = IndexedVersion.objects.get_or_create(
                generation=self.generation, version=version.pk, defaults={"document": document.pk}
            )
        try:
            yield entry
        finally:
            IndexGeneration.objects.filter(pk=self.generation.pk, lease=self.token).update(writing=None)

    def release(self) -> None:
        held = IndexGeneration.objects.filter(pk=self.generation.pk, lease=self.token)
        held.update(lease=None, lease_until=None, writing=None, paused=False)


def rewrites_due() -> "QuerySet[IndexGeneration]":
    """Generations that may still hold something of an erased document, or word hashes without a key."""
    waiting = Q(rewritten__lt=F("remains")) | Q(word_key=b"")
    rested = Q(rewrite_after=None) | Q(rewrite_after__lte=Now())
    return IndexGeneration.objects.filter(waiting, rested, dimension__gt=0).exclude(
        state=GenerationState.REMOVING
    )


def claim() -> GenerationLease | None:
    """Something to do that nobody does, or None."""
    return _claimed(rewrites_due().order_by("created_at"), rewriting=True) or _claimed(
        IndexGeneration.objects.filter(_TO_DO, error="").order_by("-swap_requested", "created_at"),
        rewriting=False,
    )


def _claimed(waiting: "QuerySet[IndexGeneration]", *, rewriting: bool) -> GenerationLease | None:
    with transaction.atomic():
        row = waiting.filter(_FREE).select_for_update(skip_locked=True).first()
        if row is None:
            return None
        token = uuid.uuid4()
        IndexGeneration.objects.filter(pk=row.pk).update(
            lease=token, lease_until=Now() + LEASE, writing=None, paused=False
        )
    return GenerationLease(row, token, rewriting)
