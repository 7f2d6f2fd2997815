"""Options of an IMAP source."""

from enum import StrEnum
from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, model_validator

from ingestion.sources.protocol import SourceOptions


class Security(StrEnum):
    """How the connection is encrypted."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class ImapOptions(SourceOptions):
    """`groups` has a line for each group, such as `finance: ada, eve`."""

    host: str = Field(min_length=1, max_length=253, pattern=r"^[^\s/@]+$", title=_("Server"), description="")
    port: int = Field(
        default=993, ge=1, le=65535, title=_("Port"), description=_("993 with TLS, otherwise 143.")
    )
    security: Security = Field(
        default=Security.TLS,
        title=_("Encryption"),
        description=_("“none” is only possible for servers in your own network."),
    )
    username: str = Field(
        min_length=1,
        max_length=200,
        title=_("User name"),
        description=_(
            "An account of its own. On each mailbox it needs the rights “l”, “r” and, for access lists, “a”."
        ),
    )
    password: SecretStr = Field(title=_("Password"), description="")
    mailboxes: str = Field(
        default="",
        max_length=10_000,
        title=_("Mailboxes"),
        description=_(
            "Names such as Public/Finance, one per line; mailboxes below them are included. Empty for all "
            "that the account can list."
        ),
    )
    groups: str = Field(
        default="",
        max_length=100_000,
        title=_("Members of groups"),
        description=_(
            "IMAP doesn’t show who is in a group. One group per line, such as “finance: ada, eve”. The group "
            "“authenticated” stands for everyone with an account."
        ),
    )

    @property
    def chosen_mailboxes(self) -> tuple[str, ...]:
        """The lines of `mailboxes`."""
        return tuple(filter(None, map(str.strip, self.mailboxes.splitlines())))

    @property
    def members(self) -> dict[str, tuple[str, ...]]:
        """The people of each group in `groups`."""
        found: dict[str, tuple[str, ...]] = {}
        for line in filter(str.strip, self.groups.splitlines()):
            name, _colon, names = line.partition(":")
            found[name.strip()] = tuple(filter(None, map(str.strip, names.split(","))))
        return found

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        lines = list(filter(str.strip, self.groups.splitlines()))
        if any(not line.partition(":")[0].strip() or ":" not in line for line in lines):
            raise ValueError(_("Enter one group per line, such as “finance: ada, eve”."))
        if len(self.members) != len(lines):
            raise ValueError(_("Enter each group once."))
        return self
