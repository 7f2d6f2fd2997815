"""Leases on index generations. Every write names the lease, so expired holders change nothing."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from cairn.errors import CairnError
from cairn.library.models import Document, DocumentVersion
from ingestion.jobs.lifecycle import stopping
from ingestion.models import LEASE
from retrieval.models import GenerationState, IndexedVersion, IndexGeneration

_TO_DO = (
    Q(state=GenerationState.REMOVING)
    | Q(state=GenerationState.BUILDING)
    | Q(state__in=(GenerationState.READY, GenerationState.RETIRED), swap_requested=True)
)
_FREE = Q(lease=None) | Q(lease_until__lt=Now())


class LeaseEnded(CairnError):
    """The work has to stop: shutdown, cancellation, more urgent work, or another lease holder."""


class DocumentGone(CairnError):
    """The document was deleted or replaced in the meantime."""


@dataclass(frozen=True, slots=True)
class GenerationLease:
    """The right to change a generation.

    With `rewriting`, it is for a rewrite after an erasure, which has priority over everything else.
    """

    generation: IndexGeneration
    token: uuid.UUID
    rewriting: bool = False

    def renew(self, **changes: object) -> None:
        """Renew the lease and write `changes`. Raises LeaseEnded if the work should stop."""
        if stopping.is_set() or self._is_less_urgent():
            raise LeaseEnded
        rows = IndexGeneration.objects.filter(
            pk=self.generation.pk, lease=self.token, state=self.generation.state
        )
        if not rows.update(lease_until=Now() + LEASE, **changes):
            raise LeaseEnded

    def _is_less_urgent(self) -> bool:
        """Return whether a due rewrite or a requested swap should interrupt this build."""
        if self.rewriting or self.generation.state != GenerationState.BUILDING:
            return False
        if rewrites_due().filter(_FREE | Q(pk=self.generation.pk)).exists():
            return True
        return IndexGeneration.objects.filter(swap_requested=True, error="").exists()

    def become(self, state: GenerationState, **changes: object) -> None:
        self.renew(state=state, **changes)
        self.generation.state = state

    @contextmanager
    def writing(self, document: Document, version: DocumentVersion) -> Iterator[IndexedVersion]:
        """Register a write to the index before it begins, and yield its entry. Raises DocumentGone.

        Erasures wait until the context ends.
        """
        with transaction.atomic():
            there = Document.objects.present().select_for_update(of=("self", "knowledge_base"))
            if not there.select_related("knowledge_base").filter(pk=document.pk, active_version=version):
                raise DocumentGone
            self.renew(writing=document.pk)
            entry, _ = IndexedVersion.objects.get_or_create(
                generation=self.generation, version=version.pk, defaults={"document": document.pk}
            )
        try:
            yield entry
        finally:
            IndexGeneration.objects.filter(pk=self.generation.pk, lease=self.token).update(writing=None)

    def release(self) -> None:
        rows = IndexGeneration.objects.filter(pk=self.generation.pk, lease=self.token)
        rows.update(lease=None, lease_until=None, writing=None, paused=False)


def rewrites_due() -> "QuerySet[IndexGeneration]":
    """Generations that may contain data of erased documents, or word hashes without a key."""
    waiting = Q(rewritten__lt=F("remains")) | Q(word_key=b"")
    rested = Q(rewrite_after=None) | Q(rewrite_after__lte=Now())
    return IndexGeneration.objects.filter(waiting, rested, dimension__gt=0).exclude(
        state=GenerationState.REMOVING
    )


def claim() -> GenerationLease | None:
    """Claim the most urgent work that no process does, or return None."""
    return _claim_first(rewrites_due().order_by("created_at"), rewriting=True) or _claim_first(
        IndexGeneration.objects.filter(_TO_DO, error="").order_by("-swap_requested", "created_at"),
        rewriting=False,
    )


def _claim_first(waiting: "QuerySet[IndexGeneration]", *, rewriting: bool) -> GenerationLease | None:
    with transaction.atomic():
        row = waiting.filter(_FREE).select_for_update(skip_locked=True).first()
        if row is None:
            return None
        token = uuid.uuid4()
        IndexGeneration.objects.filter(pk=row.pk).update(
            lease=token, lease_until=Now() + LEASE, writing=None, paused=False
        )
    return GenerationLease(row, token, rewriting)
