import json
from typing import Any

from cairn.asgi import BodyLimit
from cairn.http.webhook_limits import WEBHOOK_BYTES, WEBHOOK_PATH

Message = dict[str, Any]


class Recorder:
    """An application that reads the whole body, and the server around it."""

    def __init__(self, *parts: bytes, answers: bool = False) -> None:
        self.parts = list(parts)
        self.answers = answers
        self.read = 0
        self.hung_up = False
        self.sent: list[Message] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.answers:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            message = await receive()
            self.hung_up = message["type"] == "http.disconnect"
            self.read += len(message.get("body", b""))
            if self.hung_up or not message.get("more_body"):
                return

    async def receive(self) -> Message:
        part = self.parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts)}

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))


async def run(
    recorder: Recorder, *headers: tuple[bytes, bytes], limit: int = 10, path: str = "/api/v1/me"
) -> None:
    scope = {"type": "http", "path": path, "headers": list(headers)}
    await BodyLimit(recorder, limit=limit)(scope, recorder.receive, recorder.send)


async def test_body_announced_too_large_is_rejected_unread() -> None:
    recorder = Recorder(b"x" * 11)
    await run(recorder, (b"content-length", b"11"))
    assert recorder.sent[0]["status"] == 413
    assert recorder.read == 0


async def test_large_webhook_is_rejected_unread_although_other_bodies_may_be_as_large() -> None:
    size = WEBHOOK_BYTES + 1
    length = (b"content-length", str(size).encode())
    webhook, upload = Recorder(b"x" * size), Recorder(b"x" * size)
    await run(webhook, length, limit=2 * size, path=f"{WEBHOOK_PATH}sources/1")
    assert (webhook.sent[0]["status"], webhook.read) == (413, 0)
    await run(upload, length, limit=2 * size)
    assert (upload.sent, upload.read) == ([], size)
    unannounced = Recorder(b"x" * WEBHOOK_BYTES, b"x" * 6, b"x" * 6)
    await run(unannounced, limit=2 * size, path=f"{WEBHOOK_PATH}sources/1")
    assert (unannounced.hung_up, unannounced.read) == (True, WEBHOOK_BYTES)


async def test_body_growing_too_large_is_cut_off() -> None:
    recorder = Recorder(b"x" * 6, b"x" * 6, b"x" * 6)
    await run(recorder)
    assert recorder.hung_up
    assert recorder.read == 6


async def test_too_large_body_returns_413() -> None:
    recorder = Recorder(b"x" * 6, b"x" * 6)
    await run(recorder)
    assert [message.get("status") for message in recorder.sent] == [413, None]
    problem = json.loads(recorder.sent[1]["body"])
    assert (problem["type"], problem["code"]) == ("urn:cairn:problem:too_large", "too_large")


async def test_response_already_started_is_not_replaced() -> None:
    recorder = Recorder(b"x" * 6, b"x" * 6, answers=True)
    await run(recorder)
    assert [message.get("status") for message in recorder.sent] == [200]


async def test_bodies_within_the_limit_pass_through() -> None:
    recorder = Recorder(b"x" * 5, b"x" * 5)
    await run(recorder, (b"content-length", b"10"))
    assert recorder.read == 10
    assert not recorder.sent
