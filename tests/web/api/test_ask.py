"""Asking over HTTP, with a fake chat model."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient, Client
from django.utils import timezone
from llama_index.core.llms import ChatMessage

from cairn.access.models import Grant, Role
from cairn.accounts.models import User
from cairn.accounts.services import user_update
from cairn.library.models import Document
from cairn.telemetry.context import current_ids
from retrieval.conversations import ask
from retrieval.engine import Engine, use
from retrieval.models import Message
from retrieval.types import Delta, Prompted
from tests.bases import make_base
from tests.fakes import FakeChat, FakeEmbedder
from tests.web.api.conftest import Caller, assert_problem, caller_for, events, streamed

ABSENT = "00000000-0000-0000-0000-000000000001"
QUESTION = "How many days of leave do employees get a year?"
ANSWER_FIELDS = {
    "id", "conversation", "question", "standalone_question", "answer", "verdict", "reason", "mode",
    "citations", "sentences", "model", "usage", "timings", "nearest", "state",
}  # fmt: skip
pytestmark = pytest.mark.django_db(transaction=True)


def asked(caller: Caller, **body: Any) -> dict[str, Any]:
    response = caller.post("/ask", {"question": QUESTION, **body})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def test_answer_cites_its_sources(mia: Caller, leave: Document) -> None:
    answer = asked(mia)
    assert answer.keys() >= ANSWER_FIELDS
    assert answer["verdict"] == "supported"
    assert answer["mode"] == "generated"
    assert answer["model"] == "fake-chat"
    assert "25 days" in answer["answer"]
    [citation] = answer["citations"]
    assert citation["marker"] == 1
    assert citation["document"] == str(leave.id)
    assert citation["version"] == 1
    assert citation["quote"] in "Employees get 25 days of leave a year."
    assert f"[{citation['marker']}]" in answer["answer"]
    assert answer["usage"]["completion_tokens"] > 0
    assert mia.get(f"/conversations/{answer['conversation']}").json()["messages"] == [answer]


def test_search_judge_and_checks_share_the_embedding_of_the_question(
    mia: Caller, leave: Document, parts: Engine
) -> None:
    assert isinstance(parts.embedder, FakeEmbedder)
    asked(mia)
    assert parts.embedder.queries == [QUESTION]


@pytest.mark.slow
def test_refusal_without_access_names_no_document(
    mia: Caller, rob: Caller, leave: Document, parts: Engine
) -> None:
    answer = asked(rob)
    assert (answer["verdict"], answer["mode"], answer["citations"]) == ("refused", "none", [])
    assert answer["nearest"] == []
    assert isinstance(parts.chat, FakeChat)
    assert parts.chat.prompts == []
    Grant.objects.create(knowledge_base=leave.knowledge_base, user=rob.user, role=Role.READER)
    assert asked(rob)["verdict"] == "supported"
    Grant.objects.filter(user=rob.user).delete()
    assert asked(rob)["verdict"] == "refused"


def test_conversation_continues_with_its_id(mia: Caller, rob: Caller, leave: Document) -> None:
    first = asked(mia)
    second = asked(mia, conversation=first["conversation"])
    assert second["conversation"] == first["conversation"]
    for caller, conversation in [(rob, first["conversation"]), (mia, ABSENT), (mia, "nonsense")]:
        response = caller.post("/ask", {"question": QUESTION, "conversation": conversation})
        assert_problem(response, 404, "not_found")


def test_model_can_be_chosen_only_if_it_is_configured(mia: Caller, leave: Document) -> None:
    assert asked(mia, model="fake-chat")["model"] == "fake-chat"
    assert_problem(mia.post("/ask", {"question": QUESTION, "model": "another"}), 422, "invalid")


def test_knowledge_bases_are_named_by_id_or_slug(mia: Caller, leave: Document) -> None:
    base, other = leave.knowledge_base, make_base(name="Other", principal=mia.principal)
    for named in (str(base.id), base.slug):
        answer = mia.post("/ask", {"question": QUESTION, "knowledge_bases": [named, other.slug]})
        assert answer.json()["citations"], answer.content
    answer = mia.post("/ask", {"question": QUESTION, "knowledge_bases": [other.slug]})
    assert answer.json()["verdict"] == "refused"


def test_answer_is_streamed(mia: Caller, leave: Document) -> None:
    response = mia.post("/ask", {"question": QUESTION, "stream": True})
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"].startswith("no-cache")
    found = events(streamed(response))
    names = [name for name, _ in found]
    assert names[:2] == ["start", "sources"]
    assert names[-1] == "done"
    assert set(names) == {"start", "sources", "delta", "citation", "done"}
    data: dict[str, Any] = dict(found)
    assert data["sources"][0]["text"] == "Employees get 25 days of leave a year."
    assert data["start"] == {"id": data["done"]["id"], "conversation": data["done"]["conversation"]}
    assert (
        "".join(item["text"] for name, item in found if name == "delta").strip()
        == data["done"]["answer"].strip()
    )
    assert data["citation"] == data["done"]["citations"][0]
    assert mia.get(f"/conversations/{data['done']['conversation']}").json()["messages"] == [data["done"]]


def broken(parts: Engine) -> None:
    assert isinstance(parts.embedder, FakeEmbedder)
    parts.embedder.broken = True


def test_unavailable_model_returns_503(mia: Caller, leave: Document, parts: Engine) -> None:
    broken(parts)
    response = mia.post("/ask", {"question": QUESTION})
    assert_problem(response, 503, "unavailable")
    assert response["Retry-After"]


def test_error_while_streaming_is_an_event(mia: Caller, leave: Document, parts: Engine) -> None:
    broken(parts)
    found = events(streamed(mia.post("/ask", {"question": QUESTION, "stream": True})))
    assert [name for name, _ in found] == ["start", "error"]
    problem = found[-1][1]
    assert (problem["status"], problem["code"]) == (503, "unavailable")
    assert problem.keys() >= {"type", "title", "detail"}
    assert Message.objects.get().state == "failed"


def test_text_is_streamed_before_it_is_saved(mia: Caller, leave: Document) -> None:
    exchange = ask.ask(principal=mia.principal, question=QUESTION)
    next(event for event in exchange.events if isinstance(event, Prompted))
    assert Message.objects.get().trace == {}
    next(event for event in exchange.events if isinstance(event, Delta))
    row = Message.objects.get()
    assert (row.answer, len(row.trace["hits"])) == ("", 2)
    exchange.events.close()
    row.refresh_from_db()
    assert (row.state, row.answer) == ("stopped", "Employees get 25 days of leave a year. [1]")


def test_rolled_back_citations_are_saved_with_the_next_state(
    mia: Caller, leave: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_given: object) -> None:
        raise OSError("the disk")

    pending = ask.ask(principal=mia.principal, question=QUESTION)
    next(event for event in pending.events if isinstance(event, Delta))
    with monkeypatch.context() as broken:
        broken.setattr("retrieval.conversations.answer_recorder.question_statistics_update", fail)
        with pytest.raises(OSError, match="the disk"):
            pending.events.close()
    assert not pending.message.citations.exists()
    pending.events._record.end(state="stopped")
    assert pending.message.citations.count() == 1


class IdsChat(FakeChat):
    """Records the ids that logs would carry while it writes."""

    def __init__(self) -> None:
        super().__init__("Employees get 25 days of leave a year [1].")
        self.ids: list[str] = []

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, background: bool = False
    ) -> Iterator[str]:
        for piece in super().stream(messages, max_tokens=max_tokens, background=background):
            self.ids.append(current_ids().get("answer_id", ""))
            yield piece


def test_log_records_of_every_thread_have_the_answer_id(mia: Caller, leave: Document, parts: Engine) -> None:
    chat = IdsChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        answer = asked(mia)  # written in a thread of its own
        assert set(chat.ids) == {answer["id"]}
        pending = ask.ask(principal=mia.principal, question=QUESTION)
        assert not any("answer_id" in current_ids() for _ in pending.events), "not between events"
    assert set(chat.ids) == {answer["id"], str(pending.message.id)}


class EndlessChat(FakeChat):
    """A sentence, and then one that does not end until its stream is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self.ended = threading.Event()

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        self.began.set()
        try:
            yield "Employees get 25 days of leave a year [1]. And "
            for number in count():
                time.sleep(0.01)
                yield f"word{number} "
        finally:
            self.ended.set()


def threads_joined(*names: str) -> None:
    for thread in threading.enumerate():
        if thread.name in names:
            thread.join(30)


async def until_first_delta(stream: AsyncIterator[bytes]) -> None:
    async for part in stream:
        if part.startswith(b"event: delta"):
            return


def test_client_disconnect_stops_a_streamed_answer(mia: Caller, leave: Document, parts: Engine) -> None:
    chat = EndlessChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        response = mia.post("/ask", {"question": QUESTION, "stream": True})
        async_to_sync(until_first_delta)(response.streaming_content)
        assert chat.ended.wait(30)
        threads_joined("event-stream", "reader-left")
    assert Message.objects.get().state == "stopped"


async def test_client_disconnect_stops_an_answer_without_streaming(
    mia: Caller, leave: Document, parts: Engine
) -> None:
    chat = EndlessChat()
    headers = {"Authorization": f"Bearer {mia.key}"}
    body = {"question": QUESTION}
    with use(Engine(parts.embedder, parts.index, chat)):
        asking = asyncio.create_task(
            AsyncClient().post("/api/v1/ask", body, "application/json", headers=headers)
        )
        assert await asyncio.to_thread(chat.began.wait, 30)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(chat.ended.wait, 30)
        await asyncio.to_thread(threads_joined, "event-stream", "reader-left")


async def parts_of(stream: AsyncIterator[bytes], shut: Callable[[], object]) -> bytes:
    """Read the whole stream; the user loses access at the first word."""
    parts = []
    async for part in stream:
        if part.startswith(b"event: delta") and not any(b"event: delta" in seen for seen in parts):
            await sync_to_async(shut)()
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("shut", ["disabled", "revoked"])
def test_streamed_answer_stops_when_its_user_loses_access(
    mia: Caller, leave: Document, parts: Engine, shut: str
) -> None:
    def shut_out() -> None:
        if shut == "disabled":
            user_update(mia.user, is_active=False)
        else:
            mia.user.api_keys.update(revoked_at=timezone.now())

    caller_for("ada", is_admin=True)
    chat = EndlessChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        response = mia.post("/ask", {"question": QUESTION, "stream": True})
        found = events(async_to_sync(parts_of)(response.streaming_content, shut_out))
        assert chat.ended.wait(10)
        threads_joined("event-stream", "reader-left")
    assert (found[-1][0], found[-1][1]["status"]) == ("error", 401)
    assert Message.objects.get().state == "stopped"


def test_answer_stops_when_its_user_is_no_longer_admin(admin: Caller, leave: Document, parts: Engine) -> None:
    caller_for("other", is_admin=True)
    chat = EndlessChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        response = admin.post("/ask", {"question": QUESTION, "stream": True})
        demote = partial(user_update, admin.user, is_admin=False)
        found = events(async_to_sync(parts_of)(response.streaming_content, demote))
        assert chat.ended.wait(10)
        threads_joined("event-stream", "reader-left")
    assert (found[-1][0], found[-1][1]["status"]) == ("error", 403)
    assert Message.objects.get().state == "stopped"


def test_answer_is_shown_with_the_rights_at_its_end(admin: Caller, leave: Document, parts: Engine) -> None:
    """The admin is none any more when it is done, before that has been noticed."""
    caller_for("other", is_admin=True)

    class Demoting(FakeChat):
        def stream(self, *args: Any, **more: Any) -> Iterator[str]:
            yield from super().stream(*args, **more)
            user_update(admin.user, is_admin=False)

    with use(Engine(parts.embedder, parts.index, Demoting("Employees get 25 days of leave a year [1]."))):
        answer = admin.post("/ask", {"question": QUESTION})
    assert "25 days" not in answer.content.decode()


async def test_answer_without_streaming_stops_when_its_user_loses_access(
    mia: Caller, leave: Document, parts: Engine
) -> None:
    chat = EndlessChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        asking = asyncio.create_task(
            AsyncClient().post(
                "/api/v1/ask",
                {"question": QUESTION},
                "application/json",
                headers={"Authorization": f"Bearer {mia.key}"},
            )
        )
        assert await asyncio.to_thread(chat.began.wait, 30)
        await sync_to_async(User.objects.filter(pk=mia.user.pk).update)(is_active=False)
        response = await asyncio.wait_for(asking, 10)
        await asyncio.to_thread(threads_joined, "event-stream", "reader-left")
    assert response.status_code == 401


def test_session_asks_with_its_csrf_token(mia: Caller, leave: Document, settings: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(mia.user)
    body = json.dumps({"question": QUESTION})
    assert_problem(client.post("/api/v1/ask", body, "application/json"), 403, "csrf_failed")
    client.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
    answered = client.post("/api/v1/ask", body, "application/json", headers={"X-CSRFToken": "a" * 32})
    assert answered.status_code == 200
