"""The model check reports problems of servers of every kind."""

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.llms import MockLLM

from cairn.inference import registry
from cairn.inference.chat import LlamaIndexChatModel
from cairn.inference.model_checks import Report, chat_reports, reports
from cairn.settings import Environment
from tests.cairn.inference.server import Exchange, FakeServer

KEY = "sk-secret-4711"


def writes(exchange: Exchange) -> None:
    """Respond like a good server, which counts the tokens of the rendered template."""
    exchange.start_stream()
    exchange.delta("Hello")
    words = sum(len(each["content"].split()) for each in exchange.body["messages"])
    exchange.event({"choices": [], "usage": {"prompt_tokens": words}})
    exchange.done("length")


def refuses(role: str, respond: Callable[[Exchange], None] = writes) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        if any(each["role"] == role for each in exchange.body["messages"]):
            exchange.answer({"error": {"message": "Conversation roles must alternate"}}, 400)
        else:
            respond(exchange)

    return answer


def check(server: FakeServer, **settings: Any) -> Report:
    named: dict[str, Any] = {"llm_base_url": server.url, "llm_model": "mistral", "llm_context_tokens": 4096}
    (report,) = chat_reports(Environment(**{**named, **settings}))
    return report


def listed(server: FakeServer, *rows: dict[str, Any]) -> None:
    server.pages["/v1/models"] = {"data": list(rows)}


def test_suitable_server_passes_the_check(server: FakeServer) -> None:
    server.respond = writes
    listed(server, {"id": "mistral", "max_model_len": 4096})
    report = check(server)
    assert (report.ok, report.remarks) == (True, [])
    assert (report.served, report.context_tokens) == (("mistral",), 4096)
    assert (report.system_role, report.alternates) == (True, True)
    assert report.milliseconds is not None
    assert {exchange.body["max_tokens"] for exchange in server.exchanges} == {1}


def test_unserved_model_name_is_reported_with_served_names(server: FakeServer) -> None:
    server.respond = writes
    listed(server, {"id": "llama"}, {"id": "llama-legal"})
    assert check(server).problem == "does not serve “mistral” but “llama”, “llama-legal”"
    assert server.exchanges == []


def test_context_smaller_than_assumed_is_a_problem(server: FakeServer) -> None:
    server.respond = writes
    listed(server, {"id": "mistral", "max_model_len": 2048})
    assert "set it to 2048" in check(server).problem
    assert check(server, llm_context_tokens=2048).ok
    (remark,) = check(server, llm_context_tokens=1024).remarks
    assert "uses fewer" in remark


def test_adapter_has_the_context_of_its_base_model(server: FakeServer) -> None:
    server.respond = writes
    listed(server, {"id": "base", "max_model_len": 4096}, {"id": "mistral", "parent": "base"})
    assert check(server).context_tokens == 4096


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/props", {"default_generation_settings": {"n_ctx": 4096}}),  # llama.cpp
        ("/api/v0/models/mistral", {"loaded_context_length": 4096, "max_context_length": 32768}),  # LM Studio
    ],
)
def test_context_size_is_read_from_other_server_pages(server: FakeServer, path: str, page: Any) -> None:
    server.respond = writes
    listed(server, {"id": "mistral"})
    server.pages[path] = page
    assert check(server).context_tokens == 4096


def test_unknown_context_size_gives_a_remark(server: FakeServer) -> None:
    server.respond = writes
    listed(server, {"id": "mistral:latest"})  # Ollama
    report = check(server)
    assert report.ok
    assert "LLM_CONTEXT_TOKENS=4096 must fit" in report.remarks[0]


def test_template_refusing_a_system_role_is_a_problem(server: FakeServer) -> None:
    server.respond = refuses("system")
    listed(server, {"id": "mistral", "max_model_len": 4096})
    assert "LLM_SYSTEM_ROLE=false" in check(server).problem
    assert check(server, llm_system_role=False).ok


def test_template_ignoring_the_system_prompt_is_detected(server: FakeServer) -> None:
    def respond(exchange: Exchange) -> None:
        turns = [each for each in exchange.body["messages"] if each["role"] != "system"]
        exchange.body["messages"] = turns
        writes(exchange)

    server.respond = respond
    listed(server, {"id": "mistral", "max_model_len": 4096})
    assert "LLM_SYSTEM_ROLE=false" in check(server).problem


def test_template_without_alternating_turns_is_a_remark(server: FakeServer) -> None:
    server.respond = refuses("assistant")
    listed(server, {"id": "mistral", "max_model_len": 4096})
    report = check(server)
    assert (report.ok, report.alternates) == (True, False)
    assert "turns" in report.remarks[0]


def test_server_that_writes_no_token_is_a_problem(server: FakeServer) -> None:
    server.respond = lambda exchange: exchange.start_stream()
    listed(server, {"id": "mistral", "max_model_len": 4096})
    server.pages["/health"] = {"status": "ok"}
    assert "without a single token" in check(server).problem


def test_error_in_the_stream_is_reported(server: FakeServer) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.event({"error": {"message": "engine died"}})

    server.respond = respond
    listed(server, {"id": "mistral", "max_model_len": 4096})
    assert "engine died" in check(server).problem
    stored = {"llm_base_url": server.url, "llm_model": "mistral", "llm_context_tokens": 4096}
    (report,) = chat_reports(Environment().with_stored(stored))
    assert report.problem == "breaks off", "nothing is repeated of a server named in the console"


def test_unreachable_server_is_reported(server: FakeServer) -> None:
    server.__exit__(None, None, None)
    assert "cannot be reached" in check(server).problem


def test_unreadable_model_list_is_reported(server: FakeServer) -> None:
    server.pages["/v1/models"] = b"<html>"
    assert "cannot be read" in check(server).problem


def test_model_check_hides_keys_and_passwords(server: FakeServer) -> None:
    server.respond = lambda exchange: exchange.answer({"error": f"no such key: {KEY}"}, 401)
    listed(server, {"id": "mistral", "max_model_len": 4096})
    hidden = server.url.replace("//", "//somebody:hunter2@")
    report = check(server, llm_base_url=hidden, llm_api_key=KEY)
    assert "answers 401" in report.problem
    assert KEY not in repr(report)
    assert "hunter2" not in repr(report)


def test_each_of_several_servers_is_asked(server: FakeServer) -> None:
    server.respond = writes
    listed(server, {"id": "mistral", "max_model_len": 4096})
    both = Environment(
        llm_base_url=f"{server.url}, http://127.0.0.1:9/v1", llm_model="mistral", llm_context_tokens=4096
    )
    assert [report.ok for report in chat_reports(both)] == [True, False]


def test_embeddings_and_the_judge_are_asked(server: FakeServer) -> None:
    def respond(exchange: Exchange) -> None:
        if exchange.path.endswith("/embeddings"):
            exchange.answer({"data": [{"index": 0, "embedding": [0.5] * 12}]})
        else:
            writes(exchange)

    server.respond = respond
    listed(server, {"id": "mistral", "max_model_len": 4096}, {"id": "bge", "max_model_len": 512})
    found = reports(
        Environment(
            llm_base_url=server.url,
            llm_model="mistral",
            llm_context_tokens=4096,
            embedding_base_url=server.url,
            embedding_model="bge",
            judge_base_url=server.url,
            judge_model="mistral",
        )
    )
    told = {report.kind: report for report in found}
    assert [report.ok for report in told.values()] == [True, True, True]
    assert (told["embeddings"].dimension, told["embeddings"].context_tokens) == (12, 512)
    assert told["judge"].system_role is True


def test_in_process_model_is_checked_by_writing_a_token() -> None:
    with registry.use(chat=LlamaIndexChatModel.of(MockLLM())):
        (report,) = chat_reports(Environment())
    assert (report.ok, report.where) == (True, "in process")
