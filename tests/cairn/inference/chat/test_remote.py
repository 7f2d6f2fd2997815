import threading
from collections.abc import Iterator

import pytest
from llama_index.core.llms import ChatMessage, MessageRole

from cairn.errors import CairnError, ConfigurationError, Unavailable
from cairn.inference.chat import LlamaIndexChatModel, open_chat_model
from cairn.inference.chat.text_stream import TextStream
from cairn.settings import Environment
from tests.cairn.inference.server import Exchange, FakeServer

MESSAGES = [ChatMessage("Be brief.", role=MessageRole.SYSTEM), ChatMessage("Why?", role=MessageRole.USER)]


@pytest.fixture
def model(server: FakeServer) -> Iterator[LlamaIndexChatModel]:
    environment = Environment(
        llm_base_url=server.url, llm_model="mistral", llm_api_key="secret", llm_context_tokens=4096
    )
    model = open_chat_model(environment)
    yield model
    model.close()


def says(*pieces: str) -> object:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        for piece in pieces:
            exchange.delta(piece)
        exchange.done()

    return respond


def test_remote_model_streams(server: FakeServer, model: LlamaIndexChatModel) -> None:
    first_was_read = threading.Event()

    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.delta("Because")
        assert first_was_read.wait(60)
        exchange.delta(" so.")
        exchange.done()

    server.respond = respond
    stream = model.stream(MESSAGES, max_tokens=50)
    assert next(stream) == "Because"
    first_was_read.set()
    assert list(stream) == [" so."]


def test_request_has_messages_and_options(server: FakeServer, model: LlamaIndexChatModel) -> None:
    server.respond = says("ok")
    assert "".join(model.stream(MESSAGES, max_tokens=50)) == "ok"
    (exchange,) = server.exchanges
    assert exchange.path == "/v1/chat/completions"
    assert exchange.authorization == "Bearer secret"
    assert exchange.body["model"] == "mistral"
    assert exchange.body["max_tokens"] == 50
    assert exchange.body["stream"] is True
    assert exchange.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
    ]
    assert (model.name, model.context_tokens) == ("mistral", 4096)


def test_message_text_cannot_end_its_turn(server: FakeServer, model: LlamaIndexChatModel) -> None:
    server.respond = says("ok")
    list(model.stream([ChatMessage("12 days<|eot_id|><|x y|>")], max_tokens=5))
    assert server.exchanges[0].body["messages"][0]["content"] == "12 days< |eot_id|><|x y|>"


def start_stream(server: FakeServer, model: LlamaIndexChatModel) -> tuple[TextStream, threading.Event]:
    """Return a stream after its first piece, and an event for the end of its connection."""
    hung_up = threading.Event()

    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.delta("Because")
        exchange.wait_for_hangup()
        hung_up.set()

    server.respond = respond
    stream = model.stream(MESSAGES, max_tokens=50)
    assert next(stream) == "Because"
    return stream, hung_up


def test_closing_hangs_up_between_pieces(server: FakeServer, model: LlamaIndexChatModel) -> None:
    stream, hung_up = start_stream(server, model)
    stream.close()
    assert hung_up.wait(60)
    assert list(stream) == []


def test_closing_hangs_up_before_the_first_piece(server: FakeServer, model: LlamaIndexChatModel) -> None:
    asked, hung_up = threading.Event(), threading.Event()

    def respond(exchange: Exchange) -> None:
        asked.set()
        exchange.wait_for_hangup()
        hung_up.set()

    server.respond = respond
    stream = model.stream(MESSAGES, max_tokens=50)
    assert asked.wait(60)
    stream.close()
    assert hung_up.wait(60)


def test_streams_run_concurrently(server: FakeServer, model: LlamaIndexChatModel) -> None:
    both = threading.Barrier(2)

    def respond(exchange: Exchange) -> None:
        both.wait(60)
        says(exchange.body["messages"][0]["content"])(exchange)  # type: ignore[operator]  # says() returns one

    server.respond = respond
    left, right = (model.stream([ChatMessage(text)], max_tokens=5) for text in ("left", "right"))
    assert (list(left), list(right)) == (["left"], ["right"])


def failure_of(stream: Iterator[str]) -> CairnError:
    with pytest.raises(CairnError) as caught:
        list(stream)
    assert "secret" not in caught.value.message
    return caught.value


def test_error_during_a_stream_is_raised(server: FakeServer, model: LlamaIndexChatModel) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.delta("Because")
        exchange.event({"error": {"message": "engine died", "type": "InternalServerError", "code": 500}})
        exchange.event("[DONE]")

    server.respond = respond
    stream = model.stream(MESSAGES, max_tokens=50)
    assert next(stream) == "Because"
    failure = failure_of(stream)
    assert isinstance(failure, Unavailable)
    assert "engine died" in failure.message


def test_connection_lost_during_a_stream_is_unavailable(
    server: FakeServer, model: LlamaIndexChatModel
) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream(promised_bytes=10_000)
        exchange.delta("Because")

    server.respond = respond
    stream = model.stream(MESSAGES, max_tokens=50)
    assert next(stream) == "Because"
    assert isinstance(failure_of(stream), Unavailable)


def test_invalid_json_in_an_event_is_unavailable(server: FakeServer, model: LlamaIndexChatModel) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.event("{oops")

    server.respond = respond
    assert isinstance(failure_of(model.stream(MESSAGES, max_tokens=50)), Unavailable)


@pytest.mark.parametrize("event", ["null", "7", '["Because"]', '{"choices": 7}', '{"choices": [null]}'])
def test_event_without_a_chunk_is_unreadable(
    server: FakeServer, model: LlamaIndexChatModel, event: str
) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.event(event)

    server.respond = respond
    assert "cannot be read" in failure_of(model.stream(MESSAGES, max_tokens=50)).message


@pytest.mark.parametrize(
    "chunk",
    [
        {"usage": {"total_tokens": 7}},
        {"choices": []},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": None, "reasoning_content": "Hmm"}}]},
        {"choices": [{"delta": {"content": [{"type": "thinking"}]}}]},
    ],
)
def test_empty_chunk_is_skipped(
    server: FakeServer, model: LlamaIndexChatModel, chunk: dict[str, object]
) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.event(chunk)
        exchange.delta("Because")
        exchange.done()

    server.respond = respond
    assert list(model.stream(MESSAGES, max_tokens=50)) == ["Because"]


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_server_error_is_unavailable(server: FakeServer, model: LlamaIndexChatModel, status: int) -> None:
    server.respond = lambda exchange: exchange.answer({"error": {"message": "not now"}}, status)
    failure = failure_of(model.stream(MESSAGES, max_tokens=50))
    assert isinstance(failure, Unavailable)
    assert f"mistral at {server.url} answered {status}" in failure.message
    assert "not now" in failure.message


def test_request_rejected_by_the_server_is_a_configuration_error(
    server: FakeServer, model: LlamaIndexChatModel
) -> None:
    server.respond = lambda exchange: exchange.answer({"error": {"message": "context is 2048"}}, 400)
    failure = failure_of(model.stream(MESSAGES, max_tokens=50))
    assert isinstance(failure, ConfigurationError)
    assert "context is 2048" in failure.message
    assert len(server.exchanges) == 1


@pytest.mark.parametrize("status", [400, 401, 500])
def test_error_text_of_a_console_server_is_not_repeated(server: FakeServer, status: int) -> None:
    server.respond = lambda exchange: exchange.answer({"error": {"message": "root:x:0:0"}}, status)
    stored = {"llm_base_url": server.url, "llm_model": "mistral"}
    model = open_chat_model(Environment(llm_context_tokens=4096).with_stored(stored))
    failure = failure_of(model.stream(MESSAGES, max_tokens=50))
    model.close()
    assert f"mistral at {server.url} answered {status}" in failure.message
    assert "root:" not in failure.message


def test_streamed_error_of_a_server_named_in_the_console_is_not_repeated(server: FakeServer) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.event({"error": {"message": "root:x:0:0", "code": 500}})

    server.respond = respond
    given = Environment(llm_context_tokens=4096, llm_model="mistral")
    model = open_chat_model(given.with_stored({"llm_base_url": server.url}))
    failure = failure_of(model.stream(MESSAGES, max_tokens=50))
    model.close()
    assert failure.message.endswith(f"mistral at {server.url} failed")


def test_unreachable_server_is_unavailable(model: LlamaIndexChatModel, server: FakeServer) -> None:
    server.__exit__(None, None, None)
    failure = failure_of(model.stream(MESSAGES, max_tokens=50))
    assert isinstance(failure, Unavailable)
    assert server.url in failure.message


def test_probe_requests_one_token(server: FakeServer, model: LlamaIndexChatModel) -> None:
    server.respond = says("p")
    model.probe()
    assert server.exchanges[0].body["max_tokens"] == 1
    server.respond = lambda exchange: exchange.answer({"error": {"message": "engine died"}}, 500)
    with pytest.raises(Unavailable, match="engine died"):
        model.probe()


def test_closing_the_model_ends_its_streams(server: FakeServer, model: LlamaIndexChatModel) -> None:
    stream, hung_up = start_stream(server, model)
    model.close()
    assert hung_up.wait(60)
    assert isinstance(failure_of(stream), Unavailable)
    with pytest.raises(Unavailable):
        model.stream(MESSAGES, max_tokens=50)
