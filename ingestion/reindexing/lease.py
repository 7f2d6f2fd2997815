"""Who works on a generation. Every write names the lease: who has lost it changes nothing any more."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
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


class Ended(CairnError):
    """The process is ending, somebody cancelled, something is more urgent, or another one has the lease."""


class Gone(CairnError):
    """The document was deleted or replaced meanwhile."""


@dataclass(frozen=True, slots=True)
class GenerationLease:
    generation: IndexGeneration
    token: uuid.UUID

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
        """Who asks for a swap does not wait until a build is over."""
        if self.generation.state != GenerationState.BUILDING:
            return False
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


def claim() -> GenerationLease | None:
    """Something to do that nobody does, or None."""
    with transaction.atomic():
        free = Q(lease=None) | Q(lease_until__lt=Now())
        waiting = IndexGeneration.objects.filter(_TO_DO, free, error="")
        row = waiting.order_by("-swap_requested", "created_at").select_for_update(skip_locked=True).first()
        if row is None:
            return None
        token = uuid.uuid4()
        IndexGeneration.objects.filter(pk=row.pk).update(
            lease=token, lease_until=Now() + LEASE, writing=None, paused=False
        )
    return GenerationLease(row, token)
