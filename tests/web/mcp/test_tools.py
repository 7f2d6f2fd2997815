"""The MCP tools over HTTP, message by message, with a fake chat model."""

import json
from typing import Any

import pytest

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from retrieval.engine import Engine
from retrieval.suggestions.models import Suggestion
from tests.web.api.conftest import Caller, Response, caller_for, indexed

QUESTION = "How many days of leave do employees get a year?"
LEAVE = "Employees get 25 days of leave a year."
ACCEPT = "application/json, text/event-stream"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, LEAVE, "Bicycles are parked behind the house.")
    return document


def send(caller: Caller, method: str, params: Any, **headers: str) -> Response:
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    return caller.client.post(
        "/mcp",
        json.dumps(message),
        content_type="application/json",
        headers={"Authorization": f"Bearer {caller.key}", "Accept": ACCEPT, **headers},
    )


def result(response: Response) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    assert answer["id"] == 7
    found: dict[str, Any] = answer["result"]
    return found


def call(caller: Caller, tool: str, **arguments: Any) -> dict[str, Any]:
    return result(send(caller, "tools/call", {"name": tool, "arguments": arguments}))


def text(reply: dict[str, Any]) -> str:
    [part] = reply["content"]
    return str(part["text"])


def refused(caller: Caller, tool: str, **arguments: Any) -> str:
    reply = call(caller, tool, **arguments)
    assert reply["isError"]
    assert "structuredContent" not in reply
    return text(reply)


def names(caller: Caller) -> list[str]:
    return [tool["name"] for tool in result(send(caller, "tools/list", {}))["tools"]]


def test_initialize_describes_the_server(mia: Caller) -> None:
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    told = result(send(mia, "initialize", params))
    assert told["serverInfo"]["name"] == "cairn"
    assert "sources" in told["instructions"]
    assert names(mia) == ["list_knowledge_bases", "search", "ask", "read_document"]


def test_key_sees_only_tools_in_its_scopes(mia: Caller) -> None:
    searching = caller_for("sue", scopes=["search"])
    assert "ask" not in names(searching)
    assert "scope" in refused(searching, "ask", question=QUESTION)
    asking = caller_for("amy", scopes=["ask"])
    assert names(asking) == ["list_knowledge_bases", "ask"]
    assert "scope" in refused(asking, "search", query=QUESTION)
    assert "scope" in refused(asking, "read_document", document="1")
    ingesting = caller_for("ben", scopes=["ingest"])
    assert send(ingesting, "tools/list", {}).status_code == 403
    assert send(Caller(mia.user, "nonsense"), "tools/list", {}).status_code == 401


def test_small_talk_gets_a_reply_without_a_verdict_and_examples(mia: Caller, leave: Document) -> None:
    Suggestion.objects.create(document=leave, knowledge_base=leave.knowledge_base, question="Who gets leave?")
    found = call(mia, "ask", question="hello")
    assert text(found) == "Hello! What would you like to know?\n\n- Who gets leave?"
    assert found["structuredContent"]["mode"] == "small_talk"
    assert found["structuredContent"]["suggestions"] == ["Who gets leave?"]
    assert "suggestions" not in call(mia, "ask", question=QUESTION)["structuredContent"]


def test_mcp_answer_has_sources_and_verdict(mia: Caller, leave: Document) -> None:
    reply = call(mia, "ask", question=QUESTION)
    assert not reply["isError"]
    assert "25 days of leave a year. [1]" in text(reply)
    assert "Verdict: supported." in text(reply)
    assert f"leave.md, Handbook <http://testserver/library/documents/{leave.id}?chunk=" in text(reply)
    assert reply["structuredContent"]["citations"][0]["quote"] == LEAVE
    listed = mia.get("/conversations").json()["items"]
    assert listed == [], "the assistant shows its own conversation"


def test_refusal_includes_its_reason(mia: Caller, leave: Document) -> None:
    reply = call(mia, "ask", question="What is the boiling point of tungsten?")
    assert reply["structuredContent"]["verdict"] == "refused"
    assert reply["structuredContent"]["reason"] in text(reply)


def test_passages_are_found(mia: Caller, base: KnowledgeBase, leave: Document) -> None:
    reply = call(mia, "search", query=QUESTION, knowledge_bases=[str(base.id)], top_k=1)
    [hit] = reply["structuredContent"]["results"]
    assert (hit["text"], hit["document"]) == (LEAVE, str(leave.id))
    assert LEAVE in text(reply)


def test_misspelt_words_of_a_search_are_corrected_with_a_notice(mia: Caller, leave: Document) -> None:
    reply = call(mia, "search", query="bicycels", top_k=1)
    assert reply["structuredContent"]["spelling"] == [{"typed": "bicycels", "searched": "bicycles"}]
    assert text(reply).startswith("Searched for “bicycles” instead of “bicycels”.")
    assert "Bicycles are parked" in text(reply)


def test_document_is_read_in_parts(mia: Caller, document: Document, parts: Engine) -> None:
    indexed(document, parts, *(f"Line {number}." for number in range(60)))
    first = call(mia, "read_document", document=str(document.id))
    assert text(first).startswith("Line 0.")
    assert "read on after 49" in text(first)
    rest = call(mia, "read_document", document=str(document.id), after=first["structuredContent"]["next"])
    assert text(rest).split("\n\n") == [f"Line {number}." for number in range(50, 60)]
    assert rest["structuredContent"]["next"] is None
    opened = Event.objects.filter(action="document.opened", subject=f"document:{document.id}")
    assert opened.exists()


def test_knowledge_bases_are_listed(mia: Caller, rob: Caller, base: KnowledgeBase) -> None:
    [told] = call(mia, "list_knowledge_bases")["structuredContent"]["knowledge_bases"]
    assert (told["id"], told["slug"]) == (str(base.id), base.slug)
    assert call(rob, "list_knowledge_bases")["structuredContent"] == {"knowledge_bases": []}


def test_mcp_tools_return_only_readable_content(
    mia: Caller, rob: Caller, leave: Document, grant: Any
) -> None:
    assert call(rob, "search", query=QUESTION)["structuredContent"] == {"results": [], "spelling": []}
    hidden = refused(rob, "read_document", document=str(leave.id))
    assert hidden == refused(rob, "read_document", document="never-there")
    grant(rob, Role.READER)
    assert LEAVE in text(call(rob, "read_document", document=str(leave.id)))
    readers_replace(document=leave, readers=[f"user:{mia.user.id}"], actor=mia.user.id)
    assert refused(rob, "read_document", document=str(leave.id)) == hidden
    assert LEAVE not in text(call(rob, "search", query=QUESTION))
    assert call(rob, "ask", question=QUESTION)["structuredContent"]["verdict"] == "refused"


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("search", {}, "query"),
        ("search", {"query": " "}, "query"),
        ("search", {"query": "leave", "top_k": 5000}, "top_k"),
        ("search", {"query": "leave", "limit": 3}, "limit"),
        ("search", {"query": "a NUL \0 in it"}, "NUL"),
        ("ask", {"question": "x" * 100_000}, "question"),
        ("read_document", {"document": "x", "after": -1}, "after"),
        ("delete_everything", {}, "Unknown tool"),
    ],
)
def test_tool_errors_are_returned_to_the_model(
    mia: Caller, parts: Engine, tool: str, arguments: dict[str, Any], named: str
) -> None:
    assert named in refused(mia, tool, **arguments)


def test_hostile_messages(mia: Caller) -> None:
    headers = {"Authorization": f"Bearer {mia.key}", "Accept": ACCEPT}
    for body in ("{", "[]", '{"jsonrpc": "2.0"}', "[" * 50_000, '{"id": 1e400}', "\udcff"):
        data = body.encode("utf-8", "surrogateescape")
        response = mia.client.post("/mcp", data, content_type="application/json", headers=headers)
        assert 400 <= response.status_code < 500, (body[:20], response.content)
    assert mia.client.get("/mcp", headers=headers).status_code == 405
    assert send(mia, "no/such/method", {}).json()["error"]["code"] == -32601
