"""Asking while a served language model has no place free."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from llama_index.core.llms import ChatMessage
from prometheus_client import REGISTRY

from cairn.inference import registry
from cairn.inference.chat import LlamaIndexChatModel, open_chat_model
from cairn.library.models import Document
from cairn.settings import Environment
from retrieval.conversations import ask as ask_service
from retrieval.engine import ConfiguredChat, Engine, use
from retrieval.models import Message
from tests.cairn.inference.server import Exchange, FakeServer
from tests.installs import until
from tests.web.api.conftest import Caller, events, indexed, streamed

QUESTION = "How many days of leave do employees get a year?"
ANSWER = "Employees get 25 days of leave a year [1]."
pytestmark = pytest.mark.django_db(transaction=True)


class Served:
    """A model with one slot, which is taken until `free` is set."""

    def __init__(self, server: FakeServer, model: LlamaIndexChatModel) -> None:
        self.free = threading.Event()
        self.asked: list[str] = []
        self._model = model
        server.respond = self._respond

    def take(self) -> None:
        self._taken = self._model.stream([ChatMessage("first")], max_tokens=5)
        assert next(self._taken) == "So"

    def _respond(self, exchange: Exchange) -> None:
        self.asked.append(exchange.body["messages"][-1]["content"])
        if len(self.asked) > 1:
            exchange.write(ANSWER)
            return
        exchange.start_stream()
        exchange.delta("So")
        self.free.wait(60)
        exchange.done()


@pytest.fixture
def served(document: Document, parts: Engine) -> Iterator[Served]:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    with FakeServer() as server:
        model = open_chat_model(
            Environment(llm_base_url=server.url, llm_model="mistral", llm_max_concurrency=1)
        )
        writing = Engine(parts.embedder, parts.index, ConfiguredChat())
        with registry.use(chat=model), use(writing):
            found = Served(server, model)
            found.take()
            yield found
            found.free.set()
            model.close()


def waiting(kind: str) -> int:
    return int(REGISTRY.get_sample_value("cairn_llm_waiting", {"kind": kind}) or 0)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Run in another thread; its exception is raised at the end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(60)
    if failures:
        raise failures[0]


def ask(caller: Caller, **body: Any) -> list[tuple[str, Any]]:
    return events(streamed(caller.post("/ask", {"question": QUESTION, "stream": True, **body})))


def test_waiting_question_shows_its_queue_position(mia: Caller, served: Served) -> None:
    def free() -> None:
        until(lambda: waiting("chat") == 1)
        served.free.set()

    with beside(free):
        found = ask(mia)
    assert [name for name, _ in found][:3] == ["start", "sources", "waiting"]
    assert dict(found)["waiting"] == {"position": 1}
    assert dict(found)["done"]["verdict"] == "supported"


def test_background_work_waits_behind_questions(mia: Caller, served: Served) -> None:
    told: list[tuple[str, Any]] = []

    def free() -> None:
        until(lambda: waiting("background") == 1)
        person = threading.Thread(target=lambda: told.extend(ask(mia)))
        person.start()
        until(lambda: waiting("chat") == 1)
        served.free.set()
        person.join(60)
        connections.close_all()

    with beside(free):
        found = ask(mia, background=True)
    assert [data["position"] for name, data in told if name == "waiting"] == [1]
    assert [data["position"] for name, data in found if name == "waiting"] == [1, 2, 1]
    assert {found[-1][0], told[-1][0]} == {"done"}


def test_stopping_a_waiting_question_calls_no_model(mia: Caller, served: Served) -> None:
    def stop() -> None:
        until(lambda: waiting("chat") == 1)
        ask_service.stop(Message.objects.get())

    with beside(stop):
        found = ask(mia)
    assert found[-1][0] == "done"
    assert found[-1][1]["state"] == "stopped"
    assert served.asked == ["first"]
    assert waiting("chat") == 0
