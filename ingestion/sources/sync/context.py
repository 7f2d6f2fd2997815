"""Context of a running task of a source."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import transaction

from cairn.access.scope import Principal
from ingestion.models import Source as SourceRow
from ingestion.sources.lease import SourceLease, SourceLeaseEnded
from ingestion.sources.protocol import Source

T = TypeVar("T")


@dataclass(slots=True)
class RunContext:
    """A run of a task. `result` becomes the result of the schedule, together with `counts`."""

    source: SourceRow
    connection: Source
    principal: Principal
    lease: SourceLease
    clock: Callable[[], float]
    counts: Counter[str] = field(default_factory=Counter)

    def renew(self) -> None:
        """Renew the lease, since the source has responded. Raises SourceLeaseEnded if the run must stop."""
        self.lease.renew(self.clock())

    def renewing(self, values: Iterable[T]) -> Iterator[T]:
        """Yield the values, and renew the lease with each."""
        self.renew()
        for value in values:
            self.renew()
            yield value

    @contextmanager
    def unchanged_readers(self) -> Iterator[None]:
        """Lock the source in a transaction, so that its readers don't change meanwhile.

        Raises SourceLeaseEnded if they already have, or if the run must stop.
        """
        with transaction.atomic():
            rows = SourceRow.objects.select_for_update(no_key=True).filter(pk=self.source.pk)
            if rows.values_list("readers", flat=True).first() != self.source.readers:
                raise SourceLeaseEnded
            self.lease.require()
            yield

    def result(self, seconds: float) -> dict[str, Any]:
        return {**self.counts, "seconds": round(seconds, 1)}
