"""Messages between parent and child: JSON and raw bytes, never pickles.

A file may take over the program that parses it; its messages must not take over the parent.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from cairn.errors import DocumentRejected, Rejection
from cairn.messages import str_from_json, to_json
from ingestion.parse.core.limits import Limits

_MOST_PAGES: Final = 1_000_000
_REASONS: Final = frozenset(Rejection)


class Channel(Protocol):
    """The methods of multiprocessing's Connection used by both ends."""

    def send_bytes(self, buf: bytes) -> None: ...

    def recv_bytes(self, maxlength: int | None = None) -> bytes: ...


class ChildFailed(Exception):
    """Unexpected error in the child. Contains its kind and place, never text of the document."""


def request(limits: Limits, arguments: dict[str, Any]) -> bytes:
    return json.dumps({"limits": asdict(limits), "arguments": arguments}).encode()


def read_request(data: bytes) -> tuple[Limits, dict[str, Any]]:
    message = json.loads(data)
    return Limits(**message["limits"]), message["arguments"]


def send_result(channel: Channel, result: dict[str, Any], *, body: bytes = b"", retire: bool = False) -> None:
    _send(channel, {"result": result, "retire": retire}, body)


def send_rejection(channel: Channel, error: DocumentRejected, *, retire: bool = False) -> None:
    _send(channel, {"rejected": [error.reason.value, to_json(error.message)], "retire": retire}, b"")


def send_failure(channel: Channel, what: str) -> None:
    _send(channel, {"failed": what, "retire": True}, b"")


def send_progress(channel: Channel, done: int, total: int) -> None:
    channel.send_bytes(json.dumps({"progress": [done, total]}).encode())


def _send(channel: Channel, header: dict[str, Any], body: bytes) -> None:
    channel.send_bytes(json.dumps(header).encode())
    channel.send_bytes(body)


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a request: `done` of `total` pages have been read."""

    done: int
    total: int


class Answer:
    """The response to a request. `retire`: the child asks to be replaced."""

    def __init__(self, header: dict[str, Any], body: bytes) -> None:
        self._header = header
        self.body = body
        self.retire = bool(header.get("retire"))

    def result(self) -> dict[str, Any]:
        """Return the result. Raises DocumentRejected if the child did, else ChildFailed."""
        match self._header:
            case {"rejected": [str(reason), message]} if reason in _REASONS:
                raise DocumentRejected(Rejection(reason), _message(message))
            case {"failed": str(what)}:
                raise ChildFailed(what)
            case {"result": dict(found)}:
                return found
            case _:
                raise ChildFailed("an answer that makes no sense")


def _message(value: Any) -> str:
    try:
        return str_from_json(value)
    except ValueError:
        raise ChildFailed("a rejection that makes no sense") from None


def receive(channel: Channel, largest: int) -> Progress | Answer:
    """Receive a message. Raises ValueError if it is malformed."""
    match _loads(channel.recv_bytes(largest)):
        case {"progress": [int(done), int(total)]} if 0 <= done <= total <= _MOST_PAGES:
            return Progress(done, total)
        case dict(header):
            return Answer(header, channel.recv_bytes(largest))
        case _:
            raise ValueError("neither progress nor an answer")


def _loads(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
