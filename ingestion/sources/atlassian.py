"""What sources of Atlassian's products share: options, signing in, and all that lists and opens alike."""

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import BinaryIO, Final, Literal

import httpx
from django.utils.translation import gettext_noop as _
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import (
    StepWarning,
    find_first,
    read_items,
    require_known_access,
    require_people,
    run_steps,
)
from ingestion.sources.daily_listing import list_since
from ingestion.sources.item_streams import ItemStream
from ingestion.sources.json_api import NOT_THERE
from ingestion.sources.protocol import Change, CheckStep, Item, ItemUnavailable, SourceOptions
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


class AtlassianSource(ABC):
    """Documents, and files whose ids start with "file:". `people_unlisted` is the code of the problem if no
    people are listed."""

    people_unlisted: str

    def __init__(self, server: WebServer, visitor: WebServer, require_account: Callable[[], None]) -> None:
        self._server, self._visitor, self._require_account = server, visitor, require_account

    def check(self) -> Iterator[CheckStep]:
        """Test the sign-in, the listing, the first document, and its permissions and the groups."""
        first: list[Item] = []
        yield from run_steps(
            ("source_step_sign_in", self._sign_in),
            ("source_step_list", lambda: first.extend(find_first(self._list_all()))),
            ("source_step_read", lambda: read_items(self, first)),
            ("source_step_access", lambda: self._check_access(first)),
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:
        """Yield all documents and files once a day, otherwise only recent changes."""
        return list_since(
            cursor,
            list_all=self._list_all,
            list_changed=self._list_changed,
            require_account=self._require_account,
        )

    def open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        """Open a document as HTML, or a file. A document that changed since it was listed is refused."""
        return self._open_file(item) if item.id.startswith("file:") else self._open_document(item)

    @abstractmethod
    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]: ...

    @abstractmethod
    def list_people(self) -> Iterator[SourcePerson | SourceGroup]: ...

    @abstractmethod
    def _list_all(self) -> Iterator[Change]: ...

    @abstractmethod
    def _list_changed(self, since: datetime) -> Iterator[Change]: ...

    @abstractmethod
    def _open_document(self, item: Item) -> AbstractContextManager[BinaryIO]: ...

    @abstractmethod
    def _find_path(self, item: Item) -> str:
        """Return the path from which a file is downloaded. Raises ItemUnavailable."""

    @contextmanager
    def _open_file(self, item: Item) -> Iterator[BinaryIO]:
        with self._server.download(self._find_path(item), STORAGE) as response:
            if response.status_code != 200:
                raise explain_refusal(item, response.status_code)
            yield io.BufferedReader(ItemStream(response.iter_raw(), lambda: None))

    def _sign_in(self) -> StepWarning:
        self._require_account()
        return StepWarning(self._server.encryption_warning)

    def _check_access(self, items: Collection[Item]) -> None:
        require_known_access(self, items)
        require_people(self, self.people_unlisted)


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
