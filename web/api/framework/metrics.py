"""Prometheus metrics. Labels are routes and states, never ids or text."""

import time
from collections.abc import Sequence
from datetime import datetime
from shutil import disk_usage
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MutexValue, ValueClass

from cairn.errors import CairnError, NotSignedIn
from cairn.http.proxy_headers import is_local
from cairn.library.models import Document, DocumentVersion
from ingestion import broker
from ingestion.models import Job, Lane, Receipt, ReceiptState, Stage
from ingestion.reindexing.diff import progress
from retrieval.models import GenerationState, IndexGeneration, Message
from web.access_checks.services import last_result
from web.api.framework.problems import problem_response
from web.http.authentication import BearerKey

REQUESTS = Counter("cairn_api_requests", "Requests to the REST API", ["method", "route", "status"])
SECONDS = Histogram("cairn_api_request_seconds", "Time until a response begins", ["method", "route"])


def _gauge(name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
    """Create a gauge. With several processes, the value of the one that was scraped is the latest."""
    return Gauge(name, documentation, labels, multiprocess_mode="livemostrecent")


JOBS = _gauge("cairn_jobs", "Ingestion jobs by stage", ["stage"])
WAITING = _gauge("cairn_oldest_queued_job_seconds", "Age of the oldest job that waits")
DOCUMENTS = _gauge("cairn_documents", "Documents that are not deleted")
LEAKS = _gauge("cairn_access_leaks", "Leaks that the last access check found; -1: none ran")
CHECKED = _gauge("cairn_access_check_age_seconds", "Age of the last result of an access check")
CHUNKS = _gauge("cairn_chunks", "Chunks that may answer")
RUNNING = _gauge("cairn_answers_running", "Answers that are being written now")
FREE = _gauge("cairn_data_free_bytes", "Room left on the disk of DATA_DIR")
QUEUE = _gauge("cairn_queue_jobs", "What waits in a queue", ["queue"])
QUEUE_AGE = _gauge("cairn_queue_age_seconds", "For how long the first in a queue waits", ["queue"])
GENERATIONS = _gauge("cairn_index_generations", "Generations of the vector index by state", ["state"])
GENERATION_AGE = _gauge("cairn_index_age_seconds", "Since when the active generation answers; -1: none does")
BUILDING = _gauge("cairn_index_building_chunks", "Chunks of the generation that is being built", ["part"])


def request_counted(*, method: str, route: str, status: int, began: float) -> None:
    """Count a request. `began` is a `time.perf_counter()`."""
    known = method if method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} else "other"
    REQUESTS.labels(known, route, status).inc()
    SECONDS.labels(known, route).observe(time.perf_counter() - began)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Serve metrics to local programs, and with an admin's API key."""
    if not is_local(request):
        try:
            if BearerKey(admin=True)(request) is None:
                raise NotSignedIn
        except CairnError as error:
            return problem_response(error)
    _measure()
    return HttpResponse(generate_latest(_figures()), content_type=CONTENT_TYPE_LATEST)


def _figures() -> CollectorRegistry:
    """Return the metrics of this process, or of all on this address, which share a folder.

    See `web.processes.prefork`.
    """
    if ValueClass is MutexValue:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _measure() -> None:
    """Set gauges from the database, whichever process is scraped."""
    checked = last_result()
    LEAKS.set(len(checked.leaks) if checked else -1)
    CHECKED.set(_age(checked.created_at) if checked else -1)
    stages = dict(Job.objects.order_by().values_list("stage").annotate(count=Count("id")))
    for stage in Stage:
        JOBS.labels(stage.value).set(stages.get(stage.value, 0))
    present = Document.objects.present()
    DOCUMENTS.set(present.count())
    answering = DocumentVersion.objects.filter(pk__in=present.values("active_version"))
    CHUNKS.set(answering.aggregate(chunks=Sum("chunk_count"))["chunks"] or 0)
    RUNNING.set(Message.objects.running().count())
    FREE.set(disk_usage(settings.DATA_DIR).free)
    _measure_queues()
    _measure_index()


def _measure_queues() -> None:
    oldest = _query_backlog(Job.objects.queued())
    WAITING.set(oldest[1])
    queues = {lane.value: _query_backlog(Job.objects.queued().filter(lane=lane)) for lane in Lane}
    queues[broker.MAINTENANCE] = _query_backlog(Receipt.objects.filter(state=ReceiptState.PENDING))
    for name, (depth, age) in queues.items():
        QUEUE.labels(name).set(depth)
        QUEUE_AGE.labels(name).set(age)


def _query_backlog(waiting: "QuerySet[Any]") -> tuple[int, float]:
    """Return the number of rows, and the age of the oldest in seconds."""
    found = waiting.order_by().aggregate(count=Count("pk"), at=Min("created_at"))
    return found["count"], _age(found["at"]) if found["at"] else 0


def _measure_index() -> None:
    states = dict(IndexGeneration.objects.order_by().values_list("state").annotate(count=Count("id")))
    for state in GenerationState:
        GENERATIONS.labels(state.value).set(states.get(state.value, 0))
    active = IndexGeneration.objects.active().first()
    GENERATION_AGE.set(_age(active.activated_at) if active and active.activated_at else -1)
    building = IndexGeneration.objects.filter(state=GenerationState.BUILDING).first()
    done, total = progress(building) if building else (0, 0)
    BUILDING.labels("done").set(done)
    BUILDING.labels("total").set(total)


def _age(moment: datetime) -> float:
    return max(0.0, (timezone.now() - moment).total_seconds())
