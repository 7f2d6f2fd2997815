"""Files of SharePoint sites and OneDrives, and who may read them."""

import io
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import BinaryIO, Final
from urllib.parse import quote, unquote, urlsplit

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import find_first, read_items, require_known_access, run_steps
from ingestion.sources.item_streams import ItemStream
from ingestion.sources.json_api import NOT_THERE, JsonApi, RequestRefused
from ingestion.sources.kinds.sharepoint import graph
from ingestion.sources.kinds.sharepoint.access import EVERYONE, find_access
from ingestion.sources.kinds.sharepoint.options import SharepointOptions
from ingestion.sources.kinds.sharepoint.site_groups import list_site_groups
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Gone,
    Item,
    ItemUnavailable,
    Progress,
    SourceRefused,
    Unlisted,
)

STORAGE: Final = (
    "sharepoint.com",
    "sharepoint.us",
    "sharepoint.cn",
    "sharepoint-mil.us",
    "svc.ms",
)
_GONE: Final = 410
_USER: Final = "#microsoft.graph.user"


class _ListEverything(Exception):
    """Changes alone don't show which files are gone."""


class SharepointSource:
    """Ids of items are "DRIVE:ITEM". The cursor has the address of the next changes by drive, "" for a drive
    that could not be listed."""

    def __init__(
        self, options: SharepointOptions, api: JsonApi, open_site: Callable[[graph.Site], JsonApi]
    ) -> None:
        self._options, self._api, self._open_site = options, api, open_site

    def check(self) -> Iterator[CheckStep]:
        """Test the sign-in, the listing, the first file, its permissions, and the people and groups."""
        first: list[Item] = []
        yield from run_steps(
            ("source_step_sign_in", self._api.headers),
            ("source_step_list", lambda: first.extend(self._find_first())),
            ("source_step_read", lambda: read_items(self, first)),
            ("source_step_access", lambda: self._require_access(first)),
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:
        """Yield what changed since the cursor.

        Everything is listed again if Graph no longer knows the cursor, if a library or folder is gone, or if
        a library can be listed that could not before.
        """
        before: dict[str, str] = json.loads(cursor) if cursor else {}
        if before and not before.keys() - self._drives.keys():
            after = dict[str, str]()
            try:
                for drive in self._drives.values():
                    yield from self._list_drive(drive, before.get(drive.id), after)
            except _ListEverything:
                yield Progress()
            else:
                yield Complete(json.dumps(after), full=False)
                return
        after = {}
        for drive in self._drives.values():
            yield from self._list_drive(drive, None, after)
        yield Complete(json.dumps(after))

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open a file, from the address that Graph redirects to. The token stays with Graph."""
        path = f"{_path_of(item.id)}/content"
        with self._api.server.download(path, STORAGE, self._api.headers()) as response:
            if response.status_code != 200:
                code = "source_item_gone" if response.status_code in NOT_THERE else "source_item_refused"
                raise ItemUnavailable(CodedMessage(code, name=item.name))
            yield io.BufferedReader(ItemStream(response.iter_raw(), lambda: None))

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access of each item that still exists."""
        for item in items:
            drive = self._drives.get(item.id.partition(":")[0])
            try:
                pages = self._api.list_urls(
                    f"{_path_of(item.id)}/permissions", graph.Permissions, lambda page: page.next_url
                )
                permissions = [permission for page in pages for permission in page.value]
            except RequestRefused as error:
                if error.status_code not in NOT_THERE:
                    yield item.id, SourceAccess(unknown=error.message)
                continue
            yield item.id, find_access(permissions, drive.site if drive else "")

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield people whose accounts are enabled, and groups with the members of groups in them.

        The groups of sites follow if there is a certificate.
        """
        users = [user for user in self._list_users() if user.enabled]
        for user in users:
            yield SourcePerson(
                _user(user.id), user.name or user.sign_in, user.mail or "", directory_id=user.id
            )
        everyone = tuple(_user(user.id) for user in users if user.kind != "Guest")
        yield SourceGroup(EVERYONE, "Everyone", everyone)
        for page in self._api.list_urls(
            "v1.0/groups",
            graph.Groups,
            lambda page: page.next_url,
            **{"$select": "id,displayName", "$top": "999"},
        ):
            for group in page.value:
                yield SourceGroup(f"group:{group.id}", group.name or group.id, self._list_members(group))
        if self._options.certificate.get_secret_value():
            people = {user.sign_in.lower(): _user(user.id) for user in users}
            yield from list_site_groups(self._open_site, self._sites, people)

    def _list_users(self) -> Iterator[graph.User]:
        fields = "id,displayName,mail,userPrincipalName,accountEnabled,userType"
        for page in self._api.list_urls(
            "v1.0/users", graph.Users, lambda page: page.next_url, **{"$select": fields, "$top": "999"}
        ):
            yield from page.value

    def _list_members(self, group: graph.Group) -> tuple[str, ...]:
        path = f"v1.0/groups/{group.id}/transitiveMembers"
        pages = self._api.list_urls(
            path, graph.Groups, lambda page: page.next_url, **{"$select": "id", "$top": "999"}
        )
        return tuple(_user(member.id) for page in pages for member in page.value if member.type == _USER)

    @cached_property
    def _sites(self) -> list[graph.Site]:
        if self._options.sites:
            return [self._find_site(address) for address in self._options.sites]
        if self._options.users:
            return []
        pages = self._api.list_urls("v1.0/sites/getAllSites", graph.Sites, lambda page: page.next_url)
        return [site for page in pages for site in page.value]

    def _find_site(self, address: str) -> graph.Site:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        path = unquote(parts.path).strip("/")
        name = f"{parts.hostname}:/{path}" if path else parts.hostname
        return self._api.read(f"v1.0/sites/{name}", graph.Site)

    @cached_property
    def _drives(self) -> dict[str, graph.Drive]:
        """Libraries of the sites and OneDrives by id. Raises rather than leaving one out."""
        found = dict[str, graph.Drive]()
        for site in self._sites:
            path = f"v1.0/sites/{site.id}/drives"
            for page in self._api.list_urls(path, graph.Drives, lambda page: page.next_url):
                found |= {drive.id: drive.model_copy(update={"site": site.id}) for drive in page.value}
        for user in self._options.users:
            drive = self._api.read(f"v1.0/users/{quote(user, safe='')}/drive", graph.Drive)
            found[drive.id] = drive
        return found

    def _list_drive(self, drive: graph.Drive, since: str | None, after: dict[str, str]) -> Iterator[Change]:
        """Yield the changes of a drive since a delta link, all items if it is None. Set the next link."""
        yield Progress()
        path, params = f"v1.0/drives/{drive.id}/root/delta", {"$top": str(graph.PAGE_LENGTH)}
        if since:
            path, params = self._api.split_url(since)
        pages = self._api.list_urls(path, graph.DriveItems, lambda page: page.next_url, **params)
        try:
            for page in pages:
                if since == "":
                    raise _ListEverything
                yield from self._build_changes(page, drive, is_later=bool(since))
                after[drive.id] = page.changes_url
        except RequestRefused as error:
            if error.status_code == _GONE and since:
                raise _ListEverything from error
            after[drive.id] = since or ""
            yield Unlisted(drive.container, error.message)
            return
        if not after.get(drive.id):
            raise self._api.server.invalid("@odata.deltaLink")

    def _build_changes(
        self, page: graph.DriveItems, drive: graph.Drive, *, is_later: bool
    ) -> Iterator[Change]:
        for entry in page.value:
            if entry.deleted is not None:
                if is_later and entry.file is None:
                    raise _ListEverything  # maybe a folder, whose files need not be named
                yield Gone(f"{drive.id}:{entry.id}")
            elif entry.file is not None and entry.malware is None:
                yield _build_item(entry, drive)
        yield Progress()

    def _find_first(self) -> list[Item]:
        return find_first(self.list_changes(""), skips_unlisted=False)

    def _require_access(self, items: Collection[Item]) -> None:
        require_known_access(self, items)
        list(self.list_people())
        if self._sites and not self._options.certificate.get_secret_value():
            raise SourceRefused(CodedMessage("sharepoint_certificate_needed"))


def _build_item(entry: graph.DriveItem, drive: graph.Drive) -> Item:
    folder = unquote(entry.parent.path.partition("root:")[2]).strip("/")
    return Item(
        id=f"{drive.id}:{entry.id}",
        name=entry.name,
        uri=entry.url,
        version=entry.content_tag or entry.tag,
        container=f"{drive.container}/{folder}" if folder else drive.container,
        size=entry.size,
        modified=entry.modified,
    )


def _path_of(item: str) -> str:
    drive, _colon, number = item.partition(":")
    return f"v1.0/drives/{drive}/items/{number}"


def _user(identity: str) -> str:
    return f"user:{identity}"
