"""Numbers for Prometheus. Labels are routes and states, never ids or text."""

import time
from ipaddress import ip_address

from django.db.models import Count, Min, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest

from cairn.errors import CairnError, NotSignedIn
from cairn.library.models import Document, DocumentVersion
from ingestion.models import Job, Stage
from web.api.problems import problem
from web.auth import BearerKey
from web.verifying.running import last_result

REQUESTS = Counter("cairn_api_requests", "Requests to the REST API", ["method", "route", "status"])
SECONDS = Histogram("cairn_api_request_seconds", "Time until a response begins", ["method", "route"])
JOBS = Gauge("cairn_jobs", "Ingestion jobs by stage", ["stage"])
WAITING = Gauge("cairn_oldest_queued_job_seconds", "Age of the oldest job that waits")
DOCUMENTS = Gauge("cairn_documents", "Documents that are not deleted")
LEAKS = Gauge("cairn_access_leaks", "Leaks that the last access check found; -1: none ran")
CHECKED = Gauge("cairn_access_check_age_seconds", "Age of the last result of an access check")
CHUNKS = Gauge("cairn_chunks", "Chunks that may answer")


def request_counted(*, method: str, route: str, status: int, began: float) -> None:
    """`began` is a `time.perf_counter()`."""
    known = method if method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} else "other"
    REQUESTS.labels(known, route, status).inc()
    SECONDS.labels(known, route).observe(time.perf_counter() - began)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """To this machine, and to an admin's key."""
    if not _is_local(request):
        try:
            if BearerKey(admin=True)(request) is None:
                raise NotSignedIn
        except CairnError as error:
            return problem(error)
    _measure()
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _is_local(request: HttpRequest) -> bool:
    """A request that a proxy on this machine passed on comes from elsewhere."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _measure() -> None:
    checked = last_result()
    LEAKS.set(len(checked.leaks) if checked else -1)
    CHECKED.set((timezone.now() - checked.created_at).total_seconds() if checked else -1)
    stages = dict(Job.objects.order_by().values_list("stage").annotate(count=Count("id")))
    for stage in Stage:
        JOBS.labels(stage.value).set(stages.get(stage.value, 0))
    oldest = Job.objects.filter(stage=Stage.QUEUED).aggregate(at=Min("created_at"))["at"]
    WAITING.set((timezone.now() - oldest).total_seconds() if oldest else 0)
    present = Document.objects.present()
    DOCUMENTS.set(present.count())
    answering = DocumentVersion.objects.filter(pk__in=present.values("active_version"))
    CHUNKS.set(answering.aggregate(chunks=Sum("chunk_count"))["chunks"] or 0)
