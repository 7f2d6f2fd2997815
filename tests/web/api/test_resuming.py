"""Answers that outlive the stream of who asked, and that can be followed from anywhere."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.utils import timezone
from llama_index.core.llms import ChatMessage

from cairn.access.models import Grant
from cairn.library.models import Document
from retrieval.conversations import answer_recorder
from retrieval.engine import Engine, use
from retrieval.models import Message, MessageState
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, events, indexed, streamed
from tests.web.api.test_ask import EndlessChat, threads_joined, until_first_delta
from web import answer_stream
from web.api.framework import polling_stream

QUESTION = "How many days of leave do employees get a year?"
FIRST = "Employees get 25 days of leave a year."
SECOND = "Bicycles are parked behind the house."
WHOLE = f"{FIRST} [1] {SECOND} [2]"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling_stream, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(answer_stream, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(answer_stream, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(answer_recorder, "CHECKPOINT_SECONDS", 0)


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, FIRST, SECOND)
    return document


class HeldChat(FakeChat):
    """Waits before its second sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        yield "Employees get 25 days of leave a year [1]. Bicycles "
        assert self.go_on.wait(30)
        yield "are parked behind the house [2]."


def ask_and_leave(caller: Caller, **body: Any) -> Message:
    """The reader goes away after the first sentence."""
    response = caller.post("/ask", {"question": QUESTION, "stream": True, **body})
    async_to_sync(until_first_delta)(response.streaming_content)
    return Message.objects.get()


async def read(stream: AsyncIterator[bytes], at_delta: Callable[[], object]) -> bytes:
    parts: list[bytes] = []
    async for part in stream:
        if part.startswith(b"event: delta") and not any(each.startswith(b"event: delta") for each in parts):
            await sync_to_async(at_delta)()
        parts.append(part)
    return b"".join(parts)


def followed(caller: Caller, message: Message, at_delta: Callable[[], object]) -> list[tuple[str, Any]]:
    response = caller.get(f"/messages/{message.id}/events")
    assert response["Content-Type"] == "text/event-stream"
    return events(async_to_sync(read)(response.streaming_content, at_delta))


def test_detached_answer_continues_and_can_be_followed(mia: Caller, leave: Document, parts: Engine) -> None:
    chat = HeldChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        message = ask_and_leave(mia, detached=True)
        found = followed(mia, message, chat.go_on.set)
        threads_joined("event-stream", "reader-left")
    names = [name for name, _ in found]
    assert names[:2] == ["start", "sources"]
    assert names[-1] == "done"
    assert names.index("citation") < names.index("delta")
    text = "".join(data["text"] for name, data in found if name == "delta")
    assert text.strip() == found[-1][1]["answer"].strip() == WHOLE
    assert found[-1][1] == mia.get(f"/messages/{message.id}").json()
    assert found[1][1][0]["text"] == FIRST
    assert [data["marker"] for name, data in found if name == "citation"] == [1, 2]


def test_detached_answer_without_followers_ends(
    mia: Caller, leave: Document, parts: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_stream, "GRACE", timedelta(0))
    chat = EndlessChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        message = ask_and_leave(mia, detached=True)
        assert chat.ended.wait(30)
        threads_joined("event-stream", "reader-left")
    message.refresh_from_db()
    assert (message.state, message.answer.strip()) == ("stopped", f"{FIRST} [1]")
    assert message.citations.count() == 1


def test_detached_answer_ends_when_its_user_loses_access(mia: Caller, leave: Document, parts: Engine) -> None:
    chat = EndlessChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        ask_and_leave(mia, detached=True)
        assert not chat.ended.is_set()
        mia.user.api_keys.update(revoked_at=timezone.now())
        assert chat.ended.wait(30)
        threads_joined("event-stream", "reader-left")
    assert Message.objects.get().state == "stopped"


def test_detached_answer_is_stopped_by_another_request(mia: Caller, leave: Document, parts: Engine) -> None:
    chat = EndlessChat()
    with use(Engine(parts.embedder, parts.index, chat)):
        message = ask_and_leave(mia, detached=True)
        found = followed(mia, message, lambda: mia.post(f"/messages/{message.id}/stop"))
        assert chat.ended.wait(30)
        threads_joined("event-stream", "reader-left")
    assert (found[-1][0], found[-1][1]["state"]) == ("done", "stopped")
    assert found[-1][1]["incomplete"] is True


def running(caller: Caller, leave: Document, **fields: Any) -> Message:
    """A message as a process leaves it that is generating it, or died while doing so."""
    answered = caller.post("/ask", {"question": QUESTION}).json()
    threads_joined("event-stream", "reader-left")  # which would stop it
    rows = Message.objects.filter(pk=answered["id"])
    rows.update(**{"state": MessageState.RUNNING, "verdict": "", "sentences": [], **fields})
    return rows.get()


def test_followed_answer_of_a_dead_server_ends_with_its_saved_text(mia: Caller, leave: Document) -> None:
    message = running(mia, leave, alive_at=timezone.now() - timedelta(minutes=1))
    found = events(streamed(mia.get(f"/messages/{message.id}/events")))
    assert [name for name, _ in found] == ["start", "sources", "citation", "delta", "error"]
    assert found[-1][1]["detail"] == "The server stopped before the answer was complete."


def test_followed_answer_ends_when_it_is_withheld(mia: Caller, leave: Document) -> None:
    message = running(mia, leave)

    def close_and_go_on() -> None:
        Grant.objects.filter(user=mia.user).delete()
        Message.objects.filter(pk=message.pk).update(answer=f"{message.answer} More.")
        Message.objects.filter(pk=message.pk).update(state=MessageState.STOPPED)

    found = followed(mia, message, close_and_go_on)
    assert [name for name, _ in found][-2:] == ["delta", "done"]
    assert found[-1][1]["withheld"] is True
    assert "More." not in str(found)


def test_rewritten_answer_is_sent_only_at_the_end(mia: Caller, leave: Document) -> None:
    message = running(mia, leave)

    def rewrite() -> None:
        Message.objects.filter(pk=message.pk).update(answer="Other words.", state=MessageState.DONE)

    found = followed(mia, message, rewrite)
    assert [name for name, _ in found].count("delta") == 1
    assert found[-1][1]["answer"] == "Other words."
