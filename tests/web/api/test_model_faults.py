"""Answers while a served language model fails in each of its ways."""

from collections.abc import Callable, Iterator

import pytest

from cairn.inference import registry
from cairn.inference.chat import open_chat_model
from cairn.library.models import Document
from cairn.settings import Environment
from retrieval.engine import ConfiguredChat, Engine, use
from tests.cairn.inference.server import Exchange, FakeServer
from tests.web.api.conftest import Caller, events, indexed, streamed

QUESTION = "How many days of leave do employees get a year?"
FACT = "Employees get 25 days of leave a year"
pytestmark = pytest.mark.django_db(transaction=True)
Fault = Callable[[Exchange], None]


@pytest.fixture
def server(document: Document, parts: Engine) -> Iterator[FakeServer]:
    indexed(document, parts, f"{FACT}.", "Bicycles are parked behind the house.")
    with FakeServer() as fake:
        model = open_chat_model(
            Environment(
                llm_base_url=fake.url,
                llm_model="mistral",
                llm_first_token_timeout_seconds=3,
                llm_inter_token_timeout_seconds=0.5,
            )
        )
        fake.respond = lambda exchange: exchange.write("ready")
        model.probe()  # the client's own parts are loaded at the first request
        fake.exchanges.clear()
        writing = Engine(parts.embedder, parts.index, ConfiguredChat())
        with registry.use(chat=model), use(writing):
            yield fake
        model.close()


def breaks_off(exchange: Exchange) -> None:
    pass


def sends_an_error(exchange: Exchange) -> None:
    exchange.event({"error": {"message": "engine died", "code": 500}})


def falls_silent(exchange: Exchange) -> None:
    exchange.wait_for_hangup()


def answers_500(exchange: Exchange) -> None:
    exchange.answer({"error": {"message": "engine died"}}, 500)


def writes_nothing(exchange: Exchange) -> None:
    exchange.start_stream()
    exchange.event("[DONE]")


@pytest.mark.parametrize("fault", [breaks_off, sends_an_error, falls_silent])
def test_interrupted_answer_is_marked_as_incomplete(mia: Caller, server: FakeServer, fault: Fault) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.delta(f"{FACT} [1]. And they ")
        fault(exchange)

    server.respond = respond
    found = events(streamed(mia.post("/ask", {"question": QUESTION, "stream": True})))
    name, answer = found[-1]
    assert name == "done"
    assert FACT in answer["answer"]
    assert (answer["verdict"], answer["mode"], answer["incomplete"]) == ("partial", "generated", True)
    assert len(server.exchanges) == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", [answers_500, writes_nothing, falls_silent])
def test_model_failure_before_any_text_falls_back_to_quotes(
    mia: Caller, server: FakeServer, fault: Fault
) -> None:
    server.respond = fault
    answer = mia.post("/ask", {"question": QUESTION}).json()
    assert (answer["verdict"], answer["mode"]) == ("partial", "extractive")
    assert FACT in answer["answer"]
    assert answer["reason"]


def test_broken_model_is_skipped_after_three_failures(mia: Caller, server: FakeServer) -> None:
    """After three consecutive failures it gets no requests."""
    server.respond = writes_nothing
    answers = [mia.post("/ask", {"question": QUESTION}).json() for _ in range(5)]
    assert {answer["mode"] for answer in answers} == {"extractive"}
    assert len([each for each in server.exchanges if each.body["max_tokens"] > 1]) == 3
