"""Progress of an import and the time it still needs, both from the same weights.

A file weighs as much as it has passages. Until they are known, they are estimated from its size and from the
passages per byte of the import's other files. A count of files would not do: a folder with one long report
and a hundred notes is not nearly done when the notes are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, Sum
from django.db.models.functions import Now

from ingestion.jobs.progress import running_status
from ingestion.models import ENDED, RUNNING, ImportItem, Job, Stage

_CHUNKS: Final = "job__version__chunk_count"
_BYTES: Final = "job__version__size"
_ESTIMATED: Final = Q(**{_CHUNKS: 0})
_SHARES: Final = {
    Stage.PARSING: (0.0, 0.2),
    Stage.CHUNKING: (0.2, 0.2),
    Stage.EMBEDDING: (0.2, 0.95),
    Stage.INDEXING: (0.95, 1.0),
}
"""How much of a file is done at the beginning and the end of a stage. Embedding takes by far the longest."""
_MAX_UNFINISHED: Final = 0.999


@dataclass(frozen=True, slots=True)
class RunningJob:
    job: Job
    now: datetime

    @property
    def share_done(self) -> float:
        start, end = _SHARES[Stage(self.job.stage)]
        within = min(self.job.done / self.job.total, 1.0) if self.job.total else 0.0
        return start + (end - start) * within


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` is between 0 and 1, `eta` in seconds, None if unknown."""

    done: float
    eta: float | None


def weight_sums(accepted: Q, worked_on: Q) -> dict[str, Sum]:
    """Return aggregates of items that `measure_progress` needs. `worked_on`: jobs that show how fast the
    import is."""
    parts = {"all": accepted, "ended": accepted & Q(job__stage__in=ENDED), "worked": worked_on}
    return {
        **{f"{name}_chunks": Sum(_CHUNKS, filter=part) for name, part in parts.items()},
        **{f"{name}_bytes": Sum(_BYTES, filter=part & _ESTIMATED) for name, part in parts.items()},
        "known_bytes": Sum(_BYTES, filter=accepted & ~_ESTIMATED),
    }


def running_jobs(items: Q, batches: Iterable[UUID]) -> dict[UUID, list[RunningJob]]:
    """Return the running jobs of each import: at most as many as there are worker threads."""
    rows = ImportItem.objects.filter(items, batch__in=list(batches), job__stage__in=RUNNING)
    found: dict[UUID, list[RunningJob]] = {}
    for item in rows.select_related("job__version").annotate(now=Now()).order_by():
        assert item.job is not None
        found.setdefault(item.batch_id, []).append(RunningJob(item.job, item.now))
    return found


def measure_progress(
    sums: Mapping[str, Any], running: Sequence[RunningJob], *, files: int, missing: int
) -> Progress:
    """Measure an unfinished import of `files` accepted files; `missing` more were announced."""
    known, known_bytes = sums.get("all_chunks") or 0, sums.get("known_bytes") or 0
    per_byte = known / known_bytes if known and known_bytes else 1.0
    total, ended, worked = (
        (sums.get(f"{name}_chunks") or 0) + (sums.get(f"{name}_bytes") or 0) * per_byte
        for name in ("all", "ended", "worked")
    )
    total += missing * total / files if files else 0.0
    begun = sum(_weight(each.job, per_byte) * each.share_done for each in running)
    if not total:
        return Progress(0.0, None)
    remaining = max(total - ended - begun, 0.0)
    return Progress(
        done=round(min((ended + begun) / total, _MAX_UNFINISHED), 4),
        eta=_eta(remaining, worked + begun, _active_seconds(sums, running), running),
    )


def _weight(job: Job, per_byte: float) -> float:
    return job.version.chunk_count or job.version.size * per_byte


def _eta(remaining: float, done: float, seconds: float, running: Sequence[RunningJob]) -> float | None:
    """Estimate from the pace so far. No import ends before the file that takes longest."""
    if not done or not seconds or not remaining:
        return None
    own = (running_status(each.job, each.now).eta or 0.0 for each in running)
    return round(max(remaining * seconds / done, *own, 0.0), 1)


def _active_seconds(sums: Mapping[str, Any], running: Sequence[RunningJob]) -> float:
    """Return how long the import was worked on: an earlier part of it may have ended long ago."""
    spans = [(each.job.started_at, each.now) for each in running if each.job.started_at]
    current = (min(start for start, _ in spans), max(now for _, now in spans)) if spans else None
    began, ended = sums.get("began"), sums.get("ended")
    earlier = (began, ended) if began and ended and began < ended else None
    if earlier and current and current[0] <= earlier[1]:
        return _seconds(min(earlier[0], current[0]), max(earlier[1], current[1]))
    return sum(_seconds(start, end) for start, end in filter(None, (earlier, current)))


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
