"""A running answer ends within a second after its user loses access."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from llama_index.core.llms import ChatMessage

from cairn.access.models import Grant, Role
from cairn.access.services import grant_give, readers_replace
from cairn.accounts.models import Group
from cairn.accounts.services import api_key_revoke, group_create, group_update, user_update
from cairn.library.models import Document
from ingestion.documents.services import document_delete, knowledge_base_delete
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.models import Job
from retrieval.engine import Engine, use
from tests.bases import make_base
from tests.fakes import FakeChat
from tests.principals import SETUP
from tests.web.api.conftest import Caller, Response, caller_for, index, indexed, parts
from tests.web.security.attacks.recorder import Attack
from web import answer_stream

__all__ = ["index", "parts"]
pytestmark = pytest.mark.django_db(transaction=True)

FACT = "Employees get 25 days of leave a year"
QUESTION = "How many days of leave do employees get a year?"
WORDS_SECONDS = 1.5
"""Longer than the time within which a stream notices a revocation."""
Revocation = Callable[["Stage"], object]


class SlowChat(FakeChat):
    """Emits one sentence, then words forever or for some time.

    No two are the same, since repetition counts as a loop, which ends an answer.
    """

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self._seconds = seconds

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, background: bool = False
    ) -> Iterator[str]:
        yield f"{FACT} [1]. And "
        began, words = time.monotonic(), 0
        while self._seconds is None or time.monotonic() - began < self._seconds:
            time.sleep(0.02)
            words += 1
            yield f"word{words} "
            assert time.monotonic() - began < 60, "nobody stopped the model"


@dataclass(frozen=True, slots=True)
class Stage:
    """`rob` reads the document through the group `readers`; `ada` as an admin; `eve` has
    a grant of her own, and `editor` edits."""

    rob: Caller
    ada: Caller
    eve: Caller
    editor: Caller
    readers: Group
    document: Document

    @property
    def base(self) -> Any:
        return self.document.knowledge_base


@pytest.fixture
def stage(parts: Engine) -> Stage:
    mia, rob, eve, editor = (caller_for(name) for name in ("mia", "rob", "eve", "ed"))
    ada, _ = caller_for("ada", is_admin=True), caller_for("zoe", is_admin=True)
    base = make_base(name="Handbook", principal=mia.principal)
    readers = group_create(name="Readers", members=[rob.user.id])
    grant_give(knowledge_base=base, subject=f"group:{readers.id}", role=Role.READER, principal=SETUP)
    grant_give(knowledge_base=base, subject=f"user:{eve.user.id}", role=Role.READER, principal=SETUP)
    grant_give(knowledge_base=base, subject=f"user:{editor.user.id}", role=Role.EDITOR, principal=SETUP)
    file = SimpleUploadedFile("leave.md", b"# Leave\n\n25 days a year.")
    document = document_submit(
        Upload(file, "leave.md"), knowledge_base=base, principal=mia.principal
    ).document
    indexed(document, parts, f"{FACT}.", "Bicycles are parked behind the house.")
    return Stage(rob, ada, eve, editor, readers, document)


def remove_grant(stage: Stage) -> None:
    Grant.objects.filter(knowledge_base=stage.base, group=stage.readers).delete()


def narrow(stage: Stage) -> None:
    readers_replace(document=stage.document, readers=[f"user:{stage.eve.user.id}"], actor=None)


def delete_document(stage: Stage) -> None:
    document_delete(document=stage.document, principal=None)


def end_membership(stage: Stage) -> None:
    group_update(stage.readers, members=[stage.eve.user.id])


def delete_base(stage: Stage) -> None:
    knowledge_base_delete(knowledge_base=stage.base, principal=None)


def disable(stage: Stage) -> None:
    user_update(stage.rob.user, is_active=False)


def revoke_key(stage: Stage) -> None:
    key = stage.rob.user.api_keys.get()
    api_key_revoke(user=stage.rob.user, key_id=key.id)


def take_admin_flag(stage: Stage) -> None:
    user_update(stage.ada.user, is_admin=False)


REVOCATIONS: list[Revocation] = [
    remove_grant,
    narrow,
    delete_document,
    end_membership,
    delete_base,
    disable,
    revoke_key,
    take_admin_flag,
]


def ask_rest(caller: Caller) -> Response:
    return caller.post("/ask", {"question": QUESTION, "stream": True})


def ask_detached(caller: Caller) -> Response:
    return caller.post("/ask", {"question": QUESTION, "stream": True, "detached": True})


def ask_openai(caller: Caller) -> Response:
    body = {"model": "cairn", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    headers = {"Authorization": f"Bearer {caller.key}"}
    return caller.client.post("/v1/chat/completions", body, "application/json", headers=headers)


def ask_page(caller: Caller) -> Response:
    """Ask like the chat page, with the browser's session."""
    client = Client()
    client.force_login(caller.user)
    return client.post("/api/v1/ask", {"question": QUESTION, "stream": True}, "application/json")


def read(response: Response, when_first_words_came: Callable[[], object]) -> tuple[bytes, float]:
    """The whole stream, and how long it went on after the callback."""

    async def collect(stream: AsyncIterator[bytes]) -> tuple[bytes, float]:
        body, called = b"", 0.0
        async for part in stream:
            body += part
            if not called and b"25 days" in part and b"delta" in part:
                await sync_to_async(when_first_words_came)()
                called = time.monotonic()
        return body, time.monotonic() - called

    assert response.status_code == 200, response.content
    body, seconds = async_to_sync(collect)(response.streaming_content)
    assert b"25 days" in body
    return body, seconds


def has_ended_early(body: bytes) -> bool:
    return b"event: done" not in body and b"[DONE]" not in body and b"error" in body


@pytest.mark.slow
@pytest.mark.parametrize("ask", [ask_rest, ask_detached, ask_openai, ask_page], ids=lambda f: f.__name__)
@pytest.mark.parametrize("revoke", REVOCATIONS, ids=lambda f: f.__name__)
def test_stream_ends_soon_after_access_is_revoked(
    stage: Stage, parts: Engine, attack: Attack, revoke: Revocation, ask: Callable[[Caller], Response]
) -> None:
    """The same stream goes on when something is revoked that does not concern it."""
    if revoke is revoke_key and ask is ask_page:
        revoke = disable
    caller = stage.ada if revoke is take_admin_flag else stage.rob
    with use(Engine(parts.embedder, parts.index, SlowChat(WORDS_SECONDS))):
        body, _ = read(ask(caller), lambda: Grant.objects.filter(user=stage.eve.user).delete())
        attack.allowed(not has_ended_early(body), body[-500:])
    with use(Engine(parts.embedder, parts.index, SlowChat(None))):
        body, seconds = read(ask(caller), lambda: revoke(stage))
    attack.refused(has_ended_early(body), body[-500:])
    attack.refused(seconds < 10, f"{seconds:.1f} s on a machine that may be busy")


def test_stream_notices_a_revocation_within_a_second(attack: Attack) -> None:
    """On an idle machine: the sum of the intervals."""
    attack.refused(answer_stream.CHECK_SECONDS + answer_stream.IDLE_SECONDS < 1)
    attack.allowed(answer_stream.CHECK_SECONDS > 0.2, "200 streams must not keep the database busy")


async def follow(
    response: Response, harmless: Callable[[], object], revoke: Callable[[], object]
) -> tuple[bool, bytes]:
    """Return whether the stream continued after the harmless change, and what followed the revocation."""
    stream = aiter(response.streaming_content)
    await anext(stream)
    await sync_to_async(harmless)()
    following = asyncio.ensure_future(anext(stream))
    ended, _ = await asyncio.wait([following], timeout=WORDS_SECONDS)
    went_on = not ended or b"event: error" not in following.result()
    await sync_to_async(revoke)()
    async with asyncio.timeout(10):
        rest = await following
        async for part in stream:
            rest += part
    return went_on, rest


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/jobs/events", "/jobs/{job}/events"])
@pytest.mark.parametrize("revoke", ["disable", "revoke_key", "remove_grant", "delete_base"])
def test_job_events_end_soon_after_access_is_revoked(
    stage: Stage, attack: Attack, path: str, revoke: str
) -> None:
    """The stream of all jobs shows less after a grant was removed; everything else ends with an error."""
    ed = stage.editor
    grant = Grant.objects.filter(knowledge_base=stage.base, user=ed.user)
    revocations: dict[str, Callable[[], object]] = {
        "disable": lambda: user_update(ed.user, is_active=False),
        "revoke_key": lambda: api_key_revoke(user=ed.user, key_id=ed.user.api_keys.get().id),
        "remove_grant": grant.delete,
        "delete_base": lambda: delete_base(stage),
    }
    is_queue, loses_account = path == "/jobs/events", revoke in {"disable", "revoke_key"}
    response = ed.get(path.format(job=Job.objects.get().id))
    assert response.status_code == 200, response.content
    if is_queue and not loses_account:
        jobs = [job["id"] for job in ed.get("/jobs").json()["items"]]
        attack.allowed(jobs == [str(Job.objects.get().id)], jobs)
        revocations[revoke]()
        attack.refused(ed.get("/jobs").json()["items"] == [])
        return
    went_on, rest = async_to_sync(follow)(
        response, lambda: user_update(stage.eve.user, is_active=False), revocations[revoke]
    )
    attack.allowed(went_on)
    attack.refused(b"event: error" in rest, rest)
