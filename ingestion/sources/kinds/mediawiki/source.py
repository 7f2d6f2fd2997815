"""Pages and uploaded files of a MediaWiki.

Pages are taken as HTML, since much of their content comes from templates. Who may read them isn't: MediaWiki
itself knows no permissions for single pages.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Final
from urllib.parse import urljoin, urlsplit

import httpx

from cairn.messages import CodedMessage
from ingestion.sources.check_steps import StepWarning, find_first, read_items, run_steps
from ingestion.sources.item_streams import ItemStream
from ingestion.sources.kinds.mediawiki.api import (
    FileInfo,
    MediawikiApi,
    Namespace,
    NotThere,
    WikiPage,
)
from ingestion.sources.kinds.mediawiki.options import MediawikiOptions
from ingestion.sources.kinds.mediawiki.texts import write_page
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemChanged,
    ItemUnavailable,
    Progress,
    SourceRefused,
    SourceUnavailable,
    WithoutAccess,
)
from ingestion.sources.web_server import WebServer, open_web_server

LIMIT: Final = "max"
"""Pages that one answer lists: as many as the wiki allows the account."""
_FILES: Final = 6
_LISTINGS: Final = 3
_MORE_THAN_READING: Final = frozenset(("edit", "delete", "move", "upload"))


@contextmanager
def connect(options: MediawikiOptions) -> Iterator["MediawikiSource"]:
    """Open connections to the wiki as they are needed."""
    with (
        open_web_server(options.url, uses_cookies=True) as server,
        open_web_server(options.url) as visitor,
    ):
        server.require_encryption()
        yield MediawikiSource(options, server, visitor)


class MediawikiSource(WithoutAccess):
    """A wiki. `visitor` reads it without signing in. Ids of items are "page:ID" and "file:ID"; a renamed page
    keeps its id."""

    def __init__(self, options: MediawikiOptions, server: WebServer, visitor: WebServer) -> None:
        self._options, self._server = options, server
        self._api = MediawikiApi(server, options.username, options.password.get_secret_value())
        self._visitor = MediawikiApi(visitor)

    def check(self) -> Iterator[CheckStep]:
        """Test the sign-in, who can read the wiki, the listing, and the first page and file."""
        first: list[Item] = []
        yield from run_steps(
            ("source_step_sign_in" if self._options.username else "source_step_connect", self._sign_in),
            ("source_step_access", self._describe_readers),
            ("source_step_list", lambda: first.extend(self._find_samples())),
            ("source_step_read", lambda: read_items(self, first)),
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:  # noqa: ARG002  # each listing is complete
        """Yield all pages and files.

        The wiki lists by title, so a page that is renamed meanwhile may be missing. Then everything is listed
        again, and what was missing is added.
        """
        seen = set[str]()
        for _listing in range(_LISTINGS):
            last_move = self._api.read_last_move()
            for change in self._list_all():
                if isinstance(change, Item):
                    if change.id in seen:
                        continue
                    seen.add(change.id)
                yield change
            if self._api.read_last_move() == last_move:
                yield Complete()
                return
        raise SourceUnavailable(CodedMessage("source_list_changed", server=self._server.name))

    def open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        """Open a page as HTML, or a file. What changed since it was listed is refused."""
        return self._open_file(item) if item.id.startswith("file:") else self._open_page(item)

    def _sign_in(self) -> StepWarning:
        rights = self._api.read_user().rights
        more = self._options.username and not _MORE_THAN_READING.isdisjoint(rights)
        unneeded = CodedMessage("mediawiki_rights_unneeded") if more else ""
        return StepWarning(self._server.encryption_warning or unneeded)

    def _describe_readers(self) -> str:
        """Say whether the wiki can be read without signing in. Pages that it exempts don't count."""
        self._api.read_server()
        try:
            self._visitor.read_server()
        except SourceRefused:
            return CodedMessage("mediawiki_private")
        return CodedMessage("mediawiki_public")

    def _find_samples(self) -> list[Item]:
        return [*find_first(self._list_texts()), *find_first(self._list_files())]

    def _list_all(self) -> Iterator[Change]:
        yield from self._list_texts()
        yield from self._list_files()

    def _list_texts(self) -> Iterator[Change]:
        for namespace in self._api.find_namespaces(self._options.namespace_names):
            yield Progress()
            params = {"gapfilterredir": "nonredirects", "prop": "info|revisions"}
            params |= {"inprop": "url", "rvprop": "timestamp"}
            for page in self._list_pages(namespace, params):
                yield self._build_page(page, namespace)

    def _list_files(self) -> Iterator[Change]:
        if not self._options.files:
            return
        namespace = self._api.get_namespace(_FILES)
        yield Progress()
        params = {"prop": "info|imageinfo", "inprop": "url", "iiprop": "url|size|sha1|timestamp"}
        for page in self._list_pages(namespace, params):
            if page.imagerepository == "local" and page.imageinfo:
                yield self._build_file(page, page.imageinfo[0], namespace)

    def _list_pages(self, namespace: Namespace, params: dict[str, str]) -> Iterator[WikiPage]:
        return self._api.list_pages(
            generator="allpages", gapnamespace=str(namespace.id), gaplimit=LIMIT, **params
        )

    def _build_page(self, page: WikiPage, namespace: Namespace) -> Item:
        return Item(
            id=f"page:{page.pageid}",
            name=f"{_name(page, namespace).replace('/', '_')}.html",
            uri=self._address(page),
            version=f"{page.lastrevid}-{page.touched}",
            container=namespace.name,
            title=page.title,
            modified=page.revisions[0].timestamp if page.revisions else None,
        )

    def _build_file(self, page: WikiPage, file: FileInfo, namespace: Namespace) -> Item:
        return Item(
            id=f"file:{page.pageid}",
            name=_name(page, namespace),
            uri=self._address(page),
            version=file.sha1,
            container=namespace.name,
            size=file.size,
            modified=file.timestamp,
        )

    def _address(self, page: WikiPage) -> str:
        """Return the address that the wiki gives the page, unless it isn't one of a website."""
        is_web = urlsplit(page.canonicalurl).scheme in {"http", "https"}
        return page.canonicalurl if is_web else f"{self._server.url}index.php?curid={page.pageid}"

    @contextmanager
    def _open_page(self, item: Item) -> Iterator[BinaryIO]:
        try:
            page = self._api.read_page(_number(item))
        except NotThere as error:
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name)) from error
        except SourceUnavailable as error:
            self._require_failure_of_page(error)
            reason = error.message
            raise ItemUnavailable(
                CodedMessage("source_item_broken", name=item.name, reason=reason)
            ) from error
        if str(page.revid) != item.version.partition("-")[0]:
            raise ItemChanged(CodedMessage("source_item_changed"))
        yield io.BytesIO(write_page(page.text, urljoin(item.uri, "/")).encode())

    def _require_failure_of_page(self, error: SourceUnavailable) -> None:
        """Raise the error unless the wiki answers other requests: one broken page must not end every sync."""
        if getattr(error.message, "code", "") != "source_answer_invalid":
            raise error
        self._api.read_user()

    @contextmanager
    def _open_file(self, item: Item) -> Iterator[BinaryIO]:
        try:
            file = self._api.read_file(_number(item))
        except NotThere as error:
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name)) from error
        if file.sha1 != item.version:
            raise ItemChanged(CodedMessage("source_item_changed"))
        with self._server.stream_signed(self._find_download(item, file)) as response:
            if response.status_code != 200:
                raise self._explain_refusal(item, response.status_code)
            checked = _CheckedPieces(response, item)
            yield io.BufferedReader(ItemStream(iter(checked), checked.require_version))

    def _explain_refusal(self, item: Item, status: int) -> ItemUnavailable:
        """Say why a file can't be downloaded. Outside of its API, MediaWiki accepts no bot passwords."""
        if status in {401, 403} and "@" in self._options.username:
            return ItemUnavailable(CodedMessage("mediawiki_file_needs_account", name=item.name))
        code = "source_item_refused" if status == 403 else "source_item_gone"
        return ItemUnavailable(CodedMessage(code, name=item.name))

    def _find_download(self, item: Item, file: FileInfo) -> str:
        """Return the address of a file on the configured server. Others could be inside of the network."""
        parts, own = urlsplit(file.url), urlsplit(self._api.read_server())
        if parts.hostname not in {own.hostname, self._server.name}:
            name = parts.hostname or file.url[:200]
            raise ItemUnavailable(CodedMessage("mediawiki_file_elsewhere", name=item.name, server=name))
        return urljoin(self._server.url, parts._replace(scheme="", netloc="").geturl())


class _CheckedPieces:
    """The content of a file, which must have the SHA-1 that the wiki listed."""

    def __init__(self, response: httpx.Response, item: Item) -> None:
        self._response, self._item = response, item
        self._digest = hashlib.sha1(usedforsecurity=False)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._response.iter_raw():
            self._digest.update(piece)
            yield piece

    def require_version(self) -> None:
        if self._digest.hexdigest() != self._item.version:
            raise ItemChanged(CodedMessage("source_item_changed"))


def _name(page: WikiPage, namespace: Namespace) -> str:
    return page.title.removeprefix(f"{namespace.name}:")


def _number(item: Item) -> int:
    return int(item.id.partition(":")[2])
