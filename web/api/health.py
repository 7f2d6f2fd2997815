"""Liveness and readiness checks."""

import logging
import threading
from collections.abc import Callable

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from cairn.errors import Unavailable
from cairn.inference.registry import (
    Health,
    answer_reader_health,
    chat_health,
    embedder_health,
    language_inference_health,
    reranker_health,
)
from cairn.inference.reranking import reranks
from cairn.library.storage import check_file_storage
from cairn.settings import environment
from ingestion import broker
from retrieval.index.generations import choice_in_use, find_active_index
from web.http.shutdown import draining

log = logging.getLogger(__name__)

Check = Callable[[], None]
Outcomes = dict[str, dict[str, object]]
PROCESS = "process"
WORKER_THREAD = "worker"


@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Return 503 if a part is not working, or while this process is shutting down.

    The response names the part but no reason, as it is public; the log has the details. Optional models are
    reported without affecting the status. `?part=` limits the checks. Balancers use `process`: with the
    language model down, removing every process from service would leave none to report it.
    """
    if draining.is_set():
        return _unavailable({PROCESS: {"ok": False, "detail": "is about to end"}})
    if parts := request.GET.getlist("part"):
        return _build_response({name: _outcome(name, _check_of(name)) for name in parts})
    checks = {name: _outcome(name, check) for name, check in CHECKS.items()}
    optional = {name: _outcome(name, check) for name, check in optional_checks().items()}
    return _build_response(checks, optional)


def _build_response(checks: Outcomes, optional: Outcomes | None = None) -> JsonResponse:
    shown = {**checks, **(optional or {})}
    ready = all(outcome["ok"] for outcome in checks.values())
    return JsonResponse({"status": "ok", "checks": shown}) if ready else _unavailable(shown)


def _check_of(part: str) -> Check:
    """Return the check of a part. Unknown parts are not ready, so that a misconfigured probe is noticed."""
    return (lambda: None) if part == PROCESS else CHECKS.get(part, _fail_unknown_part)


def _fail_unknown_part() -> None:
    raise Unavailable


def _unavailable(checks: Outcomes) -> JsonResponse:
    response = JsonResponse({"status": "unavailable", "checks": checks}, status=503)
    response["Retry-After"] = "5"
    return response


def _outcome(name: str, check: Check) -> dict[str, object]:
    try:
        check()
    except Exception as error:  # noqa: BLE001 whatever it is, the part does not work
        log.warning("readiness check of %s failed: %s", name, type(error).__name__)
        return {"ok": False, "detail": "does not answer"}
    return {"ok": True, "detail": "answers"}


def check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_queue() -> None:
    """Check that the broker accepts messages, and the worker thread if it runs in this process."""
    broker.ping()
    in_process = environment().celery_broker_url.startswith("memory:")
    if in_process and not any(thread.name == WORKER_THREAD for thread in threading.enumerate()):
        raise Unavailable


def check_vectors() -> None:
    """Check the index without opening it, which would load the embedding model."""
    if not embedder_health(choice_in_use()).ok:
        raise Unavailable
    if index := find_active_index():
        index.count()


def check_models() -> None:
    if not (embedder_health(choice_in_use()).ok and chat_health().ok):
        raise Unavailable


def optional_checks() -> dict[str, Check]:
    """Return checks of configured optional parts."""
    given = environment()
    checks = {
        "reranker": (reranks(given), reranker_health),
        "answer_reader": (given.answerability_model, answer_reader_health),
        "grounding_model": (given.grounding_model, language_inference_health),
    }
    models = {name: _requiring(health) for name, (configured, health) in checks.items() if configured}
    # Questions are answered without: only uploads and downloads wait.
    return models | ({"files": check_file_storage} if given.s3_bucket else {})


def _requiring(health: Callable[[], Health]) -> Check:
    def check() -> None:
        if not health().ok:
            raise Unavailable

    return check


CHECKS: dict[str, Check] = {
    "database": check_database,
    "queue": check_queue,
    "vectors": check_vectors,
    "models": check_models,
}
