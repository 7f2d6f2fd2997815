"""Is the process alive, and can it do its work?"""

import logging
import threading
from collections.abc import Callable

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from cairn.errors import Unavailable
from cairn.inference.models import chat_health, embedder_health
from cairn.settings import environment
from ingestion import queue
from retrieval.index.factory import active_index, choice_in_use

log = logging.getLogger(__name__)

Check = Callable[[], None]
WORKER_THREAD = "worker"


@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """503 when a part does not work. Says which, not why: anyone may read this; the log knows more."""
    checks = {name: _outcome(name, check) for name, check in CHECKS.items()}
    ready = all(outcome["ok"] for outcome in checks.values())
    body = {"status": "ok" if ready else "unavailable", "checks": checks}
    response = JsonResponse(body, status=200 if ready else 503)
    if not ready:
        response["Retry-After"] = "5"
    return response


def _outcome(name: str, check: Check) -> dict[str, object]:
    try:
        check()
    except Exception as error:  # noqa: BLE001 whatever it is, the part does not work
        log.warning("readiness: %s: %s", name, type(error).__name__)
        return {"ok": False, "detail": "does not answer"}
    return {"ok": True, "detail": "answers"}


def database_answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def queue_answers() -> None:
    """The broker takes messages; where it lives in this process, its worker does too."""
    queue.ping()
    in_process = environment().celery_broker_url.startswith("memory:")
    if in_process and not any(thread.name == WORKER_THREAD for thread in threading.enumerate()):
        raise Unavailable


def vectors_answer() -> None:
    """Opening the index would load the embedding model: a probe must not wait for that."""
    if not embedder_health(choice_in_use()).ok:
        raise Unavailable
    active_index().count()


def models_answer() -> None:
    if not (embedder_health(choice_in_use()).ok and chat_health().ok):
        raise Unavailable


CHECKS: dict[str, Check] = {
    "database": database_answers,
    "queue": queue_answers,
    "vectors": vectors_answer,
    "models": models_answer,
}
