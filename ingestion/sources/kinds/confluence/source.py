"""Pages and attachments of a Confluence, and who may read them."""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources.atlassian import AtlassianSource, explain_refusal, open_servers, quote_text
from ingestion.sources.json_api import NOT_THERE, JsonApi, RequestRefused
from ingestion.sources.kinds.confluence.access import AccessReader
from ingestion.sources.kinds.confluence.api import CloudApi, Content, DataCenterApi, Space
from ingestion.sources.kinds.confluence.options import ConfluenceOptions
from ingestion.sources.kinds.confluence.texts import write_page
from ingestion.sources.protocol import (
    Change,
    Item,
    ItemUnavailable,
    Progress,
    Unlisted,
)
from ingestion.sources.web_server import WebServer

_OVERLAP: Final = timedelta(days=2)
"""Confluence compares dates in the time zone of the account, and finds new pages with a delay."""


@contextmanager
def connect(options: ConfluenceOptions) -> Iterator["ConfluenceSource"]:
    """Open connections to the Confluence as they are needed."""
    with open_servers(options) as (server, visitor):
        yield ConfluenceSource(options, server, visitor)


class ConfluenceSource(AtlassianSource):
    """Ids of items are "page:ID" and "file:ID:PAGE"."""

    people_unlisted = "confluence_groups_unlisted"

    def __init__(self, options: ConfluenceOptions, server: WebServer, visitor: WebServer) -> None:
        kind = CloudApi if options.edition == "cloud" else DataCenterApi
        self._options, self._api = options, kind(JsonApi(server))
        super().__init__(server, visitor, self._api.require_account)

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access of each item. A file has that of its page."""
        reader, found = AccessReader(self._api, self._visitor), dict[str, SourceAccess | None]()
        for item in items:
            page = _page_of(item)
            if page not in found:
                found[page] = reader.find_access(page)
            access = found[page]
            if access is not None:
                yield item.id, access

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield all groups, and everybody who is in one: others may not use Confluence."""
        self._api.require_account()
        people = dict[str, SourcePerson]()
        for group in self._api.list_groups():
            members = {one.id: one for one in self._api.list_members(group) if one.id}
            for one in members.values():
                people[one.id] = SourcePerson(one.id, one.name or one.username or one.id, one.email or "")
            yield SourceGroup(self._api.group_id(group), group.name, tuple(members))
        yield from people.values()
        self._api.require_account()

    def _list_all(self) -> Iterator[Change]:
        chosen, seen = self._options.space_keys, set[str]()
        for space in self._api.list_spaces():
            if chosen and space.key not in chosen:
                continue
            seen.add(space.key)
            yield Progress()
            try:
                yield from self._list_space(space)
            except RequestRefused as error:
                yield Unlisted(space.key, error.message)
        for missing in sorted(chosen - seen):
            yield Unlisted(missing, CodedMessage("confluence_space_missing", name=missing))

    def _list_space(self, space: Space) -> Iterator[Change]:
        for page in self._api.list_pages(space):
            yield self._build_page(page, space.key)
            if self._options.files:
                yield from self._list_files(page, space.key)

    def _list_files(self, page: Content, space: str) -> Iterator[Change]:
        yield Progress()
        try:
            files = list(self._api.list_attachments(page.id))
        except RequestRefused as error:
            if error.status_code not in NOT_THERE:
                yield Unlisted(f"{space}/{page.id}", error.message)
            return
        for file in files:
            yield self._build_file(file, page.id, space)

    def _list_changed(self, since: datetime) -> Iterator[Change]:
        chosen = self._options.space_keys
        kinds = "page, attachment" if self._options.files else "page"
        query = f'type in ({kinds}) and lastmodified >= "{since - _OVERLAP:%Y-%m-%d}"'
        if chosen:
            query += f" and space in ({', '.join(map(quote_text, sorted(chosen)))})"
        for found in self._api.search(query):
            space = found.space.key if found.space else ""
            if found.type == "page":
                yield self._build_page(found, space)
            elif found.container and found.container.type == "page":
                yield self._build_file(found, found.container.id, space)

    def _build_page(self, page: Content, space: str) -> Item:
        return Item(
            id=f"page:{page.id}",
            name=f"{page.id}.html",
            uri=f"{self._server.url}pages/viewpage.action?pageId={page.id}",
            version=str(page.version.number),
            container=space,
            title=page.title,
            modified=page.modified,
        )

    def _build_file(self, file: Content, page: str, space: str) -> Item:
        number = file.id.removeprefix("att")
        return Item(
            id=f"file:{number}:{page}",
            name=file.title,
            uri=f"{self._server.url}pages/viewpageattachments.action?pageId={page}#{number}",
            version=str(file.version.number),
            container=f"{space}/{page}",
            size=file.size,
            modified=file.modified,
        )

    @contextmanager
    def _open_document(self, item: Item) -> Iterator[BinaryIO]:
        try:
            page = self._api.read_page(_page_of(item))
        except RequestRefused as error:
            raise explain_refusal(item, error.status_code) from error
        if page.status != "current":
            raise explain_refusal(item, 404)
        if str(page.version.number) != item.version:
            raise ItemUnavailable(CodedMessage("source_item_changed", name=item.name))
        text = write_page(page.title, page.body.storage.value if page.body.storage else "")
        yield io.BytesIO(text.encode())

    def _find_path(self, item: Item) -> str:
        _kind, number, page = item.id.split(":")
        if self._options.edition == "data_center":
            return self._find_download(item, number, page)
        return f"rest/api/content/{page}/child/attachment/att{number}/download"

    def _find_download(self, item: Item, number: str, page: str) -> str:
        for file in self._api.list_attachments(page):
            if file.id.removeprefix("att") == number and file.links.download:
                return file.links.download.partition("?")[0].removeprefix("/")
        raise explain_refusal(item, 404)


def _page_of(item: Item) -> str:
    return item.id.rpartition(":")[2]
