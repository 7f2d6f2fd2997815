"""What parent and child say to each other: JSON and raw bytes, never pickles.

A file may take over the program that reads it; what comes back must not take over the parent.
"""

import json
from dataclasses import asdict
from typing import Any, Protocol

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.limits import Limits


class Channel(Protocol):
    """The part of multiprocessing's Connection that both ends use."""

    def send_bytes(self, buf: bytes) -> None: ...

    def recv_bytes(self, maxlength: int | None = None) -> bytes: ...


class ChildFailed(Exception):
    """The child met an error that no one foresaw. Names its kind and place, never the document's text."""


def request(limits: Limits, arguments: dict[str, Any]) -> bytes:
    return json.dumps({"limits": asdict(limits), "arguments": arguments}).encode()


def read_request(data: bytes) -> tuple[Limits, dict[str, Any]]:
    message = json.loads(data)
    return Limits(**message["limits"]), message["arguments"]


def send_result(channel: Channel, result: dict[str, Any], *, body: bytes = b"", retire: bool = False) -> None:
    _send(channel, {"result": result, "retire": retire}, body)


def send_rejection(channel: Channel, error: DocumentRejected, *, retire: bool = False) -> None:
    _send(channel, {"rejected": [error.reason.value, error.message], "retire": retire}, b"")


def send_failure(channel: Channel, what: str) -> None:
    _send(channel, {"failed": what, "retire": True}, b"")


def _send(channel: Channel, header: dict[str, Any], body: bytes) -> None:
    channel.send_bytes(json.dumps(header).encode())
    channel.send_bytes(body)


class Answer:
    """`retire`: the child asks to be replaced."""

    def __init__(self, header: dict[str, Any], body: bytes) -> None:
        self._header = header
        self.body = body
        self.retire = bool(header.get("retire"))

    @classmethod
    def receive(cls, channel: Channel, largest: int) -> "Answer":
        header = json.loads(channel.recv_bytes(largest))
        return cls(header, channel.recv_bytes(largest))

    def result(self) -> dict[str, Any]:
        """Raises DocumentRejected or ChildFailed if that is what the child answered."""
        if "rejected" in self._header:
            reason, message = self._header["rejected"]
            raise DocumentRejected(Rejection(reason), str(message))
        if "failed" in self._header:
            raise ChildFailed(str(self._header["failed"]))
        found: dict[str, Any] = self._header["result"]
        return found
