"""A kind of source that lives in memory, with every type of option that forms know."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BytesIO
from typing import Annotated, BinaryIO, Final, Literal

import pytest
from pydantic import Field, SecretStr, field_validator

from cairn.access.source_access import AccessEntry, SourceAccess, SourceGroup, SourcePerson
from ingestion.sources import kinds
from ingestion.sources.kinds.webhooks import GITHUB_WEBHOOK
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    SourceKind,
    SourceOptions,
    SourceRefused,
    Unlisted,
)

PASSWORD: Final = "correct horse"


class ShelfOptions(SourceOptions):
    url: str = Field(title="Address", description="Such as https://shelf.example.org.", min_length=1)
    username: Annotated[str, Field(max_length=50)] = Field(default="", title="User name")
    password: SecretStr = Field(default=SecretStr(""), title="Password")
    port: int = Field(default=443, ge=1, le=65535, title="Port")
    verify: bool = Field(default=True, title="Verify the certificate")
    security: Literal["tls", "none"] = Field(
        default="tls", title="Encryption", json_schema_extra={"labels": {"tls": "Yes", "none": "No"}}
    )
    folders: tuple[str, ...] = Field(default=(), title="Folders", json_schema_extra={"step": "selection"})

    @field_validator("url")
    @classmethod
    def _require_https(cls, url: str) -> str:
        if not url.startswith("https://"):
            raise ValueError("The address must start with https://.")
        return url


class Shelf:
    def __init__(self, options: ShelfOptions) -> None:
        self.options = options

    def check(self) -> Iterator[CheckStep]:
        warning = "" if self.options.security == "tls" else "The connection isn’t encrypted."
        yield CheckStep("Connect", "shelf.example.org answers.", warning=warning)
        if self.options.password.get_secret_value() != PASSWORD:
            yield CheckStep("Sign in", problem="The password is wrong.")
            return
        yield CheckStep("Sign in", f"As {self.options.username}.")
        yield CheckStep("List", "2 documents.")

    def list_changes(self, cursor: str) -> Iterator[Change]:
        yield Item("1", "leave.md", "shelf://leave.md", "1", container="staff", size=2000)
        yield Item("2", "pay.md", "shelf://pay.md", "1", container="staff", size=3000)
        yield Unlisted("board", "The folder is closed to this account.")
        yield Complete("1")

    def open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        return nullcontext(BytesIO(f"# {item.name}\n\nEmployees get 25 days of leave.".encode()))

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        for item in items:
            yield item.id, SourceAccess(levels=((AccessEntry("staff"),),))

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        yield SourcePerson("p1", "Rob Roe", email="rob@example.org")
        yield SourceGroup("staff", "Staff", members=("p1",))


@contextmanager
def open_shelf(options: ShelfOptions) -> Iterator[Shelf]:
    if options.username == "locked":
        raise SourceRefused("This account is locked.")
    yield Shelf(options)


SHELF: Final = SourceKind(
    name="shelf",
    label="Shelf",
    description="Documents on a shelf.",
    options=ShelfOptions,
    connect=open_shelf,
    has_access=True,
    has_people=True,
    webhook=GITHUB_WEBHOOK,
)


def add_shelf(monkeypatch: pytest.MonkeyPatch, *, alone: bool = False) -> None:
    """Make the kind known under the name “shelf”, or forget all others, too."""
    for name in list(kinds.KINDS) if alone else ():
        monkeypatch.delitem(kinds.KINDS, name)
    monkeypatch.setitem(kinds.KINDS, "shelf", f"{__name__}.SHELF")
    kinds.get_kind.cache_clear()
