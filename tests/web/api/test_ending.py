"""A web process that is shutting down: its readiness, and answers in progress."""

import threading
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError
from django.test import Client

from cairn.library.models import Document
from retrieval.conversations.services import INTERRUPTED
from retrieval.engine import Engine, use
from retrieval.models import Message
from tests.web.api.conftest import Caller, assert_problem, events
from tests.web.api.test_ask import EndlessChat, threads_joined
from tests.web.api.test_resuming import FIRST, QUESTION, leave, quick, read, running  # noqa: F401 - fixtures
from web import answer_stream
from web.http.shutdown import draining, ending

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(autouse=True)
def ends_later() -> Iterator[None]:
    yield
    draining.clear()
    ending.clear()


def test_balancers_see_unreadiness_before_the_process_stops_serving(mia: Caller) -> None:
    draining.set()
    for asked in ("/readyz?part=process", "/readyz"):
        ready = Client().get(asked)
        assert (ready.status_code, ready["Retry-After"]) == (503, "5")
    assert ready.json()["checks"] == {"process": {"ok": False, "detail": "is about to end"}}
    served = mia.get("/me")
    assert (served.status_code, served["Connection"]) == (200, "close")


@pytest.mark.parametrize("detached", [False, True])
def test_answer_at_shutdown_ends_as_interrupted(
    mia: Caller,
    leave: Document,  # noqa: F811
    parts: Engine,
    detached: bool,
) -> None:
    chat = EndlessChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        asked = mia.post("/ask", {"question": QUESTION, "stream": True, "detached": detached})
        told = events(async_to_sync(read)(asked.streaming_content, ending.set))
        assert chat.ended.wait(30)
        threads_joined("event-stream", "reader-left")
    assert told[-1][0] == "error"
    assert (told[-1][1]["status"], told[-1][1]["detail"]) == (503, INTERRUPTED)
    kept = Message.objects.get()
    assert (kept.state, kept.reason, kept.answer.strip()) == ("failed", INTERRUPTED, f"{FIRST} [1]")


def test_shutdown_makes_an_answer_without_streaming_return_503(
    mia: Caller,
    leave: Document,  # noqa: F811
    parts: Engine,
) -> None:
    chat = EndlessChat()
    threading.Thread(target=lambda: chat.began.wait(60) and ending.set()).start()
    with use(Engine(parts.embedder, parts.index, chat)):
        answer = mia.post("/ask", {"question": QUESTION})
        assert chat.ended.wait(30)
        threads_joined("event-stream", "reader-left")
    assert_problem(answer, 503, "unavailable")
    assert Message.objects.get().state == "failed"


def test_shutdown_ends_a_followed_stream_without_a_final_event(mia: Caller, leave: Document) -> None:  # noqa: F811
    """The stream ends without a last word: the answer goes on."""
    message = running(mia, leave, answer=f"{FIRST} [1]")
    followed = mia.get(f"/messages/{message.id}/events")
    told = events(async_to_sync(read)(followed.streaming_content, draining.set))
    assert {name for name, _ in told}.isdisjoint({"done", "error"})


def test_database_failure_during_an_answer_ends_with_an_error_event(
    mia: Caller,
    leave: Document,  # noqa: F811
    parts: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The database's message is in the log for operators, but not shown to users."""

    def away(_asked: answer_stream.RunningAnswer) -> None:
        raise OperationalError("too many clients already")

    chat = EndlessChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        asked = mia.post("/ask", {"question": QUESTION, "stream": True})
        go = lambda: monkeypatch.setattr(answer_stream.RunningAnswer, "recheck_access", away)  # noqa: E731
        told = events(async_to_sync(read)(asked.streaming_content, go))
        assert chat.ended.wait(30)
        threads_joined("event-stream", "reader-left")
    assert (told[-1][0], told[-1][1]["status"]) == ("error", 503)
    assert "too many clients already" in caplog.text
    assert "clients" not in str(told)
