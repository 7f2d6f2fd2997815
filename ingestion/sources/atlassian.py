"""What sources of Atlassian's products share: options and signing in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import httpx
from django.utils.translation import gettext_noop as _
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from cairn.messages import CodedMessage
from ingestion.sources.json_api import NOT_THERE
from ingestion.sources.protocol import Item, ItemUnavailable, SourceOptions
from ingestion.sources.web_server import ServerUrl, WebServer, open_web_server

STORAGE: Final = ("api.media.atlassian.com",)
"""Where the cloud redirects requests for files."""


class AtlassianOptions(SourceOptions):
    """Options of every product."""

    edition: Literal["cloud", "data_center"] = Field(
        default="cloud",
        title=_("Edition"),
        json_schema_extra={"labels": {"cloud": _("Cloud"), "data_center": _("Data Center")}},
    )
    url: ServerUrl = Field(max_length=500)
    username: str = Field(
        default="",
        max_length=200,
        title=_("User name"),
        description=_(
            "In the cloud, the email address of the account. Empty to sign in with a personal access token."
        ),
    )
    token: SecretStr = Field(
        title=_("Token or password"),
        description=_(
            "An API token in the cloud, otherwise a personal access token, or the password of the user."
        ),
    )


class Entry(BaseModel):
    """Object of an answer. Ids are numbers in some answers and texts in others."""

    model_config = ConfigDict(coerce_numbers_to_str=True, populate_by_name=True)


class UnknownSubject(ValueError):
    """Permissions name a subject that Cairn can't identify: the argument."""


@contextmanager
def open_servers(options: AtlassianOptions) -> Iterator[tuple[WebServer, WebServer]]:
    """Open connections to the server as they are needed: signed in, and as an anonymous visitor."""
    token = options.token.get_secret_value()
    auth = httpx.BasicAuth(options.username, token) if options.username else None
    headers = {} if options.username else {"Authorization": f"Bearer {token}"}
    with (
        open_web_server(options.url, headers=headers, auth=auth) as server,
        open_web_server(options.url) as visitor,
    ):
        server.require_encryption()
        yield server, visitor


def split_keys(text: str) -> frozenset[str]:
    """Return the keys in an option, which commas separate."""
    return frozenset(filter(None, (key.strip() for key in text.split(","))))


def quote_text(text: str) -> str:
    """Return a text as a literal of the query languages."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def explain_refusal(item: Item, status: int) -> ItemUnavailable:
    """Return the error for an item that is answered with this status."""
    code = "source_item_gone" if status in NOT_THERE else "source_item_refused"
    return ItemUnavailable(CodedMessage(code, name=item.name))
