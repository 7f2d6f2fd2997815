"""Protocol of sources: what Cairn asks of a system that it takes documents and permissions from.

Each kind of source is a module in `ingestion.sources.kinds` that provides a `SourceKind`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, BinaryIO, Protocol

from pydantic import BaseModel, ConfigDict

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.errors import PermanentError, TransientError

MAX_ID_LENGTH = 500
"""Characters of an item's id. Kinds shorten longer ones to a digest."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file or page in a source.

    `id` stays the same when the item is renamed or moved, if the source has such ids. `container` is the path
    of the folder, space or mailbox that contains it, such as "finance/2026". `version` changes with the
    content, and `access_version` with who may read it; empty if the source doesn't know. `uri` is the address
    of the item, or a name that people recognise. The extension of `name` determines the format.
    """

    id: str
    name: str
    uri: str
    version: str
    container: str = ""
    access_version: str = ""
    title: str = ""
    size: int | None = None
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The item with this id was deleted in the source, or left the selected part of it."""

    id: str


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A container that could not be listed, and the reason as a message. Its items stay."""

    container: str
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign that the listing is still running. Yield one at least every 30 seconds, such as once per
    folder."""


@dataclass(frozen=True, slots=True)
class Complete:
    """The last change: the listing is complete, and the next one starts from `cursor`.

    After a `full` listing, items that weren't listed are gone, except in an `Unlisted` container. A listing
    that ends without `Complete` deletes nothing.
    """

    cursor: str = ""
    full: bool = True


Change = Item | Gone | Unlisted | Progress | Complete


class CheckState(StrEnum):
    """How a step of a connection test ended."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CheckStep:
    """A step of a connection test, described for a person. `problem` is empty if it succeeded. `warning` is
    what should be improved although it did."""

    name: str
    detail: str = ""
    problem: str = ""
    warning: str = ""

    @property
    def state(self) -> CheckState:
        if self.problem:
            return CheckState.FAILED
        return CheckState.WARNING if self.warning else CheckState.PASSED


class SourceUnavailable(TransientError):
    """The source can't be reached, or asks to wait for `retry_after` seconds."""

    code = "source_unavailable"


class SourceRefused(PermanentError):
    """The source refuses the credentials, or lacks what was configured, such as a folder."""

    status = 422
    code = "source_refused"


class AccessUnknown(Exception):
    """The source doesn't say who may read something; `reason` is a message."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def describe_error(error: Exception) -> str:
    """Return the words of an error of a library or the operating system, without its number."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


class ItemUnavailable(PermanentError):
    """One item can't be read. Others can."""

    status = 422
    code = "source_item_unavailable"


class ItemChanged(TransientError):
    """The item changed while it was read. The next sync reads it again."""

    code = "source_item_changed"


class Source(Protocol):
    """A connection to a source, used by one thread.

    All methods raise SourceUnavailable or SourceRefused, with messages for an admin. None of them writes to
    the source.
    """

    def check(self) -> Iterator[CheckStep]:
        """Test step by step whether the source can be reached, signed in to, listed, and read."""
        ...

    def list_changes(self, cursor: str) -> Iterator[Change]:
        """Yield what changed since the cursor; "" lists everything. Symbolic links aren't followed."""
        ...

    def open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        """Open the content of an item. Raises ItemUnavailable if it is gone or may not be read.

        Leaving the context raises ItemChanged if the source can tell that the item changed meanwhile.
        """
        ...

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the id and the access of each item that still exists, without reading its content."""
        ...

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield all people and groups. Raises rather than leaving some out."""
        ...


class WithoutAccess:
    """Mixin for a source without permissions, people and groups."""

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:  # noqa: ARG002
        return iter(())

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        return iter(())


class SourceOptions(BaseModel):
    """Options of a source. Fields of the type SecretStr are stored encrypted and never shown.

    Each field has a title and a description, which the console shows. `json_schema_extra` may have
    "step": "selection" for a field that selects what is synced, "labels" for the values of a choice, and
    "multiline" for a secret of several lines.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


@dataclass(frozen=True, slots=True)
class Webhook:
    """The signature of a system's webhooks. Nothing in one is trusted but that it came.

    `is_authentic` compares the headers and the body with the secret in constant time. An event that
    `event_header` names among `access_events` may have changed who may read what.
    """

    is_authentic: Callable[[Mapping[str, str], bytes, str], bool]
    event_header: str
    access_events: frozenset[str]


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of source. `connect` raises SourceUnavailable or SourceRefused.

    `has_access`: the source returns who may read an item. `has_people`: it returns the members of its groups.
    `webhook`: how its system signs webhooks, None if Cairn receives none from it.
    """

    name: str
    label: str
    description: str
    options: type[SourceOptions]
    connect: Callable[[Any], AbstractContextManager[Source]]
    has_access: bool = False
    has_people: bool = False
    docs: str = ""
    webhook: Webhook | None = None


def first_problem(steps: Iterable[CheckStep]) -> str:
    """Run a connection test up to its first problem, and return it; "" if there is none."""
    return next((step.problem for step in steps if step.problem), "")
