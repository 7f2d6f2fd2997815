"""Several servers of one model, servers that fail, and who comes first."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage, MessageRole

from cairn.errors import CairnError, ConfigurationError, Unavailable
from cairn.inference.chat import LlamaIndexChatModel, TextStream, open_chat_model
from cairn.settings import Environment
from tests.cairn.inference.server import Exchange, FakeServer
from tests.installs import until

LONG = 60.0
Opener = Callable[..., LlamaIndexChatModel]


@pytest.fixture
def other() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        yield fake


@pytest.fixture
def opened() -> Iterator[Opener]:
    """A model at the servers, which closes with the test."""
    models: list[LlamaIndexChatModel] = []

    def make(*servers: FakeServer, **settings: Any) -> LlamaIndexChatModel:
        urls = ",".join(server.url for server in servers)
        named: dict[str, Any] = {"llm_base_url": urls, "llm_model": "mistral", "llm_breaker_seconds": LONG}
        models.append(open_chat_model(Environment(**{**named, **settings})))
        return models[-1]

    yield make
    for model in models:
        model.close()


class Held:
    """A server whose answers start, and continue once they are released."""

    def __init__(self, server: FakeServer) -> None:
        self.asked: list[str] = []
        self._go = threading.Semaphore(0)
        server.respond = self._respond

    def _respond(self, exchange: Exchange) -> None:
        text = exchange.body["messages"][-1]["content"]
        self.asked.append(text)
        exchange.start_stream()
        exchange.delta("So ")
        assert self._go.acquire(timeout=LONG)
        exchange.delta(text)
        exchange.done()

    def let_go(self) -> None:
        self._go.release()


def ask(model: LlamaIndexChatModel, text: str = "Why?", *, background: bool = False) -> TextStream:
    return model.stream([ChatMessage(text)], max_tokens=20, background=background)


def text_of(stream: TextStream) -> str:
    return "".join(stream)


def failure_of(stream: TextStream) -> CairnError:
    with pytest.raises(CairnError) as caught:
        list(stream)
    return caught.value


def place_of(stream: TextStream, place: int) -> None:
    """Read until the queue position is this one."""
    pieces = stream.with_pauses()
    until(lambda: next(pieces) == "" and stream.place == place, patience=LONG, what=f"for place {place}")


def broken(exchange: Exchange) -> None:
    exchange.answer({"error": {"message": "engine died"}}, 500)


def whole(exchange: Exchange) -> None:
    exchange.write("Because.")


# Which server


def test_least_busy_server_is_chosen(server: FakeServer, other: FakeServer, opened: Opener) -> None:
    here, there = Held(server), Held(other)
    model = opened(server, other)
    first, second, third = (ask(model, text) for text in ("one", "two", "three"))
    assert [next(each) for each in (first, second, third)] == ["So "] * 3
    assert sorted([len(here.asked), len(there.asked)]) == [1, 2]
    busy, idle = (here, there) if len(here.asked) == 2 else (there, here)
    fourth = ask(model, "four")
    assert next(fourth) == "So "
    assert idle.asked[-1] == "four"
    for _ in range(2):
        busy.let_go()
        idle.let_go()
    assert [text_of(each) for each in (first, second, third, fourth)] == ["one", "two", "three", "four"]


def test_another_server_answers_if_the_first_fails_to_begin(
    server: FakeServer, other: FakeServer, opened: Opener
) -> None:
    server.respond, other.respond = broken, whole
    model = opened(server, other)
    assert [text_of(ask(model)) for _ in range(4)] == ["Because."] * 4
    assert len(server.exchanges) >= 1
    assert len(other.exchanges) == 4


def test_partial_answer_is_not_continued_by_another_server(
    server: FakeServer, other: FakeServer, opened: Opener
) -> None:
    """The words of another server would follow on from words that it has not written."""

    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.delta("Because ")
        exchange.event({"error": {"message": "engine died", "code": 500}})

    server.respond = other.respond = respond
    stream = ask(opened(server, other))
    assert next(stream) == "Because "
    assert "engine died" in failure_of(stream).message
    assert len(server.exchanges) + len(other.exchanges) == 1


def test_rejected_request_is_not_sent_to_another_server(
    server: FakeServer, other: FakeServer, opened: Opener
) -> None:
    server.respond = other.respond = lambda exchange: exchange.answer({"error": {"message": "too long"}}, 400)
    model = opened(server, other, llm_breaker_failures=1)
    for _ in range(2):
        assert isinstance(failure_of(ask(model)), ConfigurationError)
    assert len(server.exchanges) + len(other.exchanges) == 2


def test_busy_server_is_not_treated_as_broken(server: FakeServer, other: FakeServer, opened: Opener) -> None:
    server.respond = lambda exchange: exchange.answer({"error": {"message": "slow down"}}, 429)
    other.respond = whole
    model = opened(server, other, llm_breaker_failures=1)
    assert [text_of(ask(model)) for _ in range(4)] == ["Because."] * 4
    assert len(server.exchanges) > 1


# The breaker


def test_repeatedly_failing_server_is_skipped(server: FakeServer, opened: Opener) -> None:
    server.respond = lambda exchange: exchange.start_stream()  # 200, and an engine that writes nothing
    model = opened(server, llm_breaker_failures=3)
    for _ in range(3):
        assert "ended without a single token" in failure_of(ask(model)).message
    failure = failure_of(ask(model))
    assert isinstance(failure, Unavailable)
    assert "left alone" in failure.message
    assert "single token" in failure.message
    assert len(server.exchanges) == 3


def test_hanging_server_delays_only_the_first_request(server: FakeServer, opened: Opener) -> None:
    over = threading.Event()

    def hang(_: Exchange) -> None:
        over.wait(LONG)

    server.respond = hang
    model = opened(server, llm_breaker_failures=3, llm_first_token_timeout_seconds=0.2)
    try:
        assert "wrote no word" in failure_of(ask(model)).message
        assert "left alone" in failure_of(ask(model)).message
    finally:
        over.set()


def test_probe_of_a_broken_server_requests_one_token(server: FakeServer, opened: Opener) -> None:
    mended = threading.Event()
    server.respond = lambda exchange: whole(exchange) if mended.is_set() else broken(exchange)
    model = opened(server, llm_breaker_failures=1, llm_breaker_seconds=0.05)
    failure_of(ask(model))
    asked = len(server.exchanges)
    until(lambda: len(server.exchanges) > asked + 1, patience=LONG)
    assert all(exchange.body["max_tokens"] == 1 for exchange in server.exchanges[asked:])
    assert "left alone" in failure_of(ask(model)).message
    mended.set()
    model.probe()
    assert text_of(ask(model)) == "Because."
    assert {exchange.path for exchange in server.exchanges} == {"/v1/chat/completions"}


def test_recovered_server_is_used_again(server: FakeServer, opened: Opener) -> None:
    mended = threading.Event()
    server.respond = lambda exchange: whole(exchange) if mended.is_set() else broken(exchange)
    model = opened(server, llm_breaker_failures=1, llm_breaker_seconds=0.05)
    failure_of(ask(model))
    mended.set()

    def answers() -> bool:
        try:
            return text_of(ask(model)) == "Because."
        except Unavailable:
            return False

    until(answers, patience=LONG)


def test_only_consecutive_failures_open_the_circuit(server: FakeServer, opened: Opener) -> None:
    answers = iter([broken, broken, whole] * 3)  # each failure is tried again once
    server.respond = lambda exchange: next(answers)(exchange)
    model = opened(server, llm_breaker_failures=2)
    for _ in range(3):
        failure_of(ask(model))
        assert text_of(ask(model)) == "Because."


def test_other_servers_replace_a_broken_one(server: FakeServer, other: FakeServer, opened: Opener) -> None:
    server.respond, other.respond = broken, whole
    model = opened(server, other, llm_breaker_failures=1)
    assert [text_of(ask(model)) for _ in range(5)] == ["Because."] * 5
    assert len(server.exchanges) == 1
    model.probe()  # one that answers is enough


# Silence


def test_empty_deltas_do_not_count_as_first_token(server: FakeServer, opened: Opener) -> None:
    hung_up = threading.Event()

    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        try:
            while True:
                exchange.delta("")
                hung_up.wait(0.02)
        except OSError:
            hung_up.set()

    server.respond = respond
    failure = failure_of(ask(opened(server, llm_first_token_timeout_seconds=0.3)))
    assert isinstance(failure, Unavailable)
    assert "wrote no word within 0.3 seconds" in failure.message
    assert hung_up.wait(LONG)


def test_server_that_stops_writing_times_out(server: FakeServer, opened: Opener) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.delta("Because")
        exchange.wait_for_hangup()

    server.respond = respond
    stream = ask(opened(server, llm_inter_token_timeout_seconds=0.2))
    assert next(stream) == "Because"
    assert "wrote no further word within 0.2 seconds" in failure_of(stream).message


def test_stream_without_a_final_event_is_incomplete(server: FakeServer, opened: Opener) -> None:
    """The connection is closed without an error; only the final event is missing."""

    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.delta("Because")

    server.respond = respond
    stream = ask(opened(server))
    assert next(stream) == "Because"
    assert "broke off in the middle" in failure_of(stream).message


# The queue


def test_waiting_request_knows_its_position(server: FakeServer, opened: Opener) -> None:
    requests = Held(server)
    model = opened(server, llm_max_concurrency=1)
    first = ask(model, "one")
    assert next(first) == "So "
    second, third = ask(model, "two"), ask(model, "three")
    place_of(second, 1)
    place_of(third, 2)
    assert requests.asked == ["one"]
    second.close()
    place_of(third, 1)
    requests.let_go()
    requests.let_go()
    assert [text_of(first), text_of(third)] == ["one", "So three"]
    assert third.place is None
    assert requests.asked == ["one", "three"]


def test_questions_precede_background_work(server: FakeServer, opened: Opener) -> None:
    requests = Held(server)
    model = opened(server, llm_max_concurrency=1)
    first = ask(model, "one")
    assert next(first) == "So "
    batch = ask(model, "batch", background=True)
    place_of(batch, 1)
    person = ask(model, "person")
    place_of(person, 1)
    place_of(batch, 2)
    for _ in range(3):
        requests.let_go()
    assert [text_of(each) for each in (first, person, batch)] == ["one", "So person", "So batch"]
    assert requests.asked == ["one", "person", "batch"]


def test_background_work_leaves_one_slot_free(server: FakeServer, opened: Opener) -> None:
    requests = Held(server)
    model = opened(server, llm_max_concurrency=2)
    running = ask(model, "batch", background=True)
    assert next(running) == "So "
    waiting = ask(model, "more", background=True)
    place_of(waiting, 1)
    person = ask(model, "person")
    assert next(person) == "So "
    for _ in range(3):
        requests.let_go()
    assert [text_of(each) for each in (running, person, waiting)] == ["batch", "person", "So more"]


def test_queueing_times_out(server: FakeServer, opened: Opener) -> None:
    requests = Held(server)
    model = opened(server, llm_max_concurrency=1, llm_queue_timeout_seconds=0.1)
    first = ask(model, "one")
    assert next(first) == "So "
    failure = failure_of(ask(model, "two"))
    assert (failure.code, failure.status) == ("model_busy", 503)
    requests.let_go()
    requests.let_go()
    assert [text_of(first), text_of(ask(model, "three"))] == ["one", "So three"]


def test_requests_waiting_for_a_broken_server_fail(server: FakeServer, opened: Opener) -> None:
    go = threading.Event()

    def respond(exchange: Exchange) -> None:
        assert go.wait(LONG)
        broken(exchange)

    server.respond = respond
    model = opened(server, llm_max_concurrency=1, llm_breaker_failures=1)
    first, second = ask(model, "one"), ask(model, "two")
    place_of(second, 1)
    go.set()
    assert "engine died" in failure_of(first).message
    assert "left alone" in failure_of(second).message


def test_cancelled_waiting_request_frees_its_place(server: FakeServer, opened: Opener) -> None:
    requests = Held(server)
    model = opened(server, llm_max_concurrency=1)
    streams = [ask(model, str(number)) for number in range(6)]
    assert next(streams[0]) == "So "
    for stream in streams[:5]:
        stream.close()
    requests.let_go()
    requests.let_go()
    assert text_of(streams[5]) == "So 5"


# What is sent


def test_template_without_a_system_role_gets_one_user_message(server: FakeServer, opened: Opener) -> None:
    server.respond = whole
    messages = [ChatMessage("Be brief.", role=MessageRole.SYSTEM), ChatMessage("Why?", role=MessageRole.USER)]
    text_of(opened(server, llm_system_role=False).stream(messages, max_tokens=5))
    assert server.exchanges[0].body["messages"] == [{"role": "user", "content": "Be brief.\n\nWhy?"}]


def test_credentials_in_a_server_address_are_hidden(server: FakeServer, opened: Opener) -> None:
    server.respond = broken
    hidden = server.url.replace("http://", "http://somebody:hunter2@")
    failure = failure_of(ask(opened(llm_base_url=hidden)))
    assert server.url in failure.message
    assert "hunter2" not in failure.message
