"""Pages, files, access rules and users of a DokuWiki.

Pages are taken as wiki text: rendering them would run plugins, such as those that include other pages, with
the rights of a superuser.
"""

import hashlib
import io
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from typing import BinaryIO, Final
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources.check_steps import StepWarning, read_items, run_steps
from ingestion.sources.item_streams import ItemStream, shorten_id
from ingestion.sources.kinds.dokuwiki import admin_pages, api
from ingestion.sources.kinds.dokuwiki.options import DokuwikiOptions
from ingestion.sources.kinds.dokuwiki.rules import (
    SIGNED_IN,
    AccessRules,
    UnclearName,
    WikiUser,
    compare_users,
    group_id,
    user_id,
)
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Complete,
    Item,
    ItemUnavailable,
    Progress,
    SourceRefused,
)
from ingestion.sources.web_server import WebServer, open_web_server

_ALL_DEPTHS: Final = 10_000  # 0 would list the search index instead of the pages
_PAGE_PATH, _FILE_PATH = "doku.php?id=", "lib/exe/fetch.php?media="
_TRIMMED: Final = " \t\n\r\0\x0b"
_SAMPLES: Final = 5


@contextmanager
def connect(options: DokuwikiOptions) -> Iterator["DokuwikiSource"]:
    """Open connections to the wiki as they are needed."""
    password = options.password.get_secret_value()
    auth = httpx.BasicAuth(options.username, password) if options.username else None
    headers = {} if options.username else {"Authorization": f"Bearer {password}"}
    with open_web_server(options.url, headers=headers, auth=auth) as server:
        server.require_encryption()
        yield DokuwikiSource(options, server)


class DokuwikiSource:
    """A wiki, seen by a superuser."""

    def __init__(self, options: DokuwikiOptions, server: WebServer) -> None:
        self._options, self._server = options, server
        self._users: list[WikiUser] | None = None

    def check(self) -> Iterator[CheckStep]:
        """Test the sign-in, the listing, a page, the access rules and users, and whether Cairn understands
        them."""
        pages: list[api.WikiPage] = []
        yield from run_steps(
            ("source_step_sign_in", self._sign_in),
            ("source_step_list", lambda: pages.extend(self._list_pages())),
            ("source_step_read", lambda: read_items(self, map(self._build_page, pages[:1]))),
            ("source_step_access", lambda: self._compare_access(pages)),
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:  # noqa: ARG002  # the wiki has no cursors
        """Yield all pages and files."""
        self._require_superuser()
        for page in self._list_pages():
            yield self._build_page(page)
        yield Progress()
        for file in self._list_files():
            yield self._build_file(file)
        self._require_superuser()  # an account that lost this right meanwhile doesn't get all of them
        yield Complete()

    def open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        """Open the text of a page, or a file. What changed since it was listed is refused."""
        return self._open_file(item) if _is_file(item) else self._open_page(item)

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access of all items. It follows from their names."""
        try:
            rules = self._read_rules()
        except UnclearName as error:
            reason = CodedMessage("dokuwiki_name_unclear", name=error.name)
            yield from ((item.id, SourceAccess(unknown=reason)) for item in items)
            return
        for item in items:
            find = rules.find_file_access if _is_file(item) else rules.find_page_access
            yield item.id, find(_wiki_id(item))

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield all users, their groups, and the group of all users."""
        self._users = None
        try:
            rules = self._read_rules()
        except UnclearName as error:
            raise SourceRefused(CodedMessage("dokuwiki_name_unclear", name=error.name)) from error
        members = defaultdict[str, list[str]](list)
        for user in rules.users:
            yield SourcePerson(user_id(user.login), user.name.strip() or user.login, user.email.strip())
            for group in user.groups:
                members[group].append(user_id(user.login))
        for group in sorted(rules.groups):
            yield SourceGroup(group_id(group), group, tuple(members[group]))
        yield SourceGroup(SIGNED_IN, "%USER%", tuple(user_id(user.login) for user in rules.users))

    def _require_superuser(self) -> None:
        account = api.call(self._server, "core.whoAmI", api.ACCOUNT)
        if not account.isadmin:
            raise SourceRefused(CodedMessage("dokuwiki_superuser_required"))

    def _list_pages(self) -> list[api.WikiPage]:
        namespace = self._options.namespace
        depth = 0 if namespace else _ALL_DEPTHS
        return api.call(
            self._server, "core.listPages", api.PAGES, namespace=namespace, depth=depth, hash=True
        )

    def _list_files(self) -> list[api.WikiFile]:
        if not self._options.files:
            return []
        namespace = self._options.namespace
        return api.call(
            self._server, "core.listMedia", api.FILES, namespace=namespace, pattern="", depth=0, hash=False
        )

    def _read_rules(self) -> AccessRules:
        settings = admin_pages.read_settings(self._server)
        rules = admin_pages.read_rules(self._server, settings)
        if self._users is None:
            self._users = list(admin_pages.read_users(self._server))
        return AccessRules(rules, settings, compare_users(self._users, settings))

    def _build_page(self, page: api.WikiPage) -> Item:
        path = page.id.split(":")
        return Item(
            id=shorten_id(f"page:{page.id}"),
            name=f"{path[-1]}.dokuwiki",
            uri=self._server.url + _PAGE_PATH + quote(page.id, safe=":"),
            version=page.hash or str(page.revision),
            container="/".join(path[:-1]),
            title="" if page.title == page.id else page.title,
            size=page.size,
            modified=_read_time(page.revision),
        )

    def _build_file(self, file: api.WikiFile) -> Item:
        path = file.id.split(":")
        return Item(
            id=shorten_id(f"file:{file.id}"),
            name=path[-1],
            uri=self._server.url + _FILE_PATH + quote(file.id, safe=":"),
            version=_file_version(file),
            container="/".join(path[:-1]),
            size=file.size,
            modified=_read_time(file.revision),
        )

    @contextmanager
    def _open_page(self, item: Item) -> Iterator[BinaryIO]:
        try:
            page = _wiki_id(item)
            text = api.call(self._server, "core.getPage", api.TEXT, page=page)
            if hashlib.md5(text.strip(_TRIMMED).encode(), usedforsecurity=False).hexdigest() != item.version:
                api.call(self._server, "core.getPageInfo", api.PAGE, page=page)
                raise ItemUnavailable(CodedMessage("source_item_changed", name=item.name))
        except api.NotThere as error:
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name)) from error
        yield io.BytesIO(text.encode())

    @contextmanager
    def _open_file(self, item: Item) -> Iterator[BinaryIO]:
        params = {"media": _wiki_id(item), "cache": "nocache"}
        with self._server.stream("GET", "lib/exe/fetch.php", params=params) as response:
            if response.status_code != 200:
                raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
            yield io.BufferedReader(ItemStream(response.iter_raw(), lambda: self._require_unchanged(item)))

    def _require_unchanged(self, item: Item) -> None:
        with suppress(api.NotThere):
            file = api.call(self._server, "core.getMediaInfo", api.FILE, media=_wiki_id(item))
            if _file_version(file) == item.version:
                return
        raise ItemUnavailable(CodedMessage("source_item_changed", name=item.name))

    def _sign_in(self) -> StepWarning:
        self._require_superuser()
        return StepWarning(self._server.encryption_warning)

    def _compare_access(self, pages: Collection[api.WikiPage]) -> None:
        """Raise SourceRefused if the wiki's decisions differ from its rules, for example because of a plugin.

        With rules that have wildcards, the wiki's answers about others are wrong, so nothing is compared.
        """
        try:
            plain = admin_pages.read_rules(self._server, admin_pages.read_settings(self._server))
            rules = self._read_rules()
        except UnclearName as error:
            raise SourceRefused(CodedMessage("dokuwiki_name_unclear", name=error.name)) from error
        if any("%" in f"{rule.scope}{rule.subject}" for rule in plain):
            return
        scopes, subjects = {rule.scope for rule in plain}, {rule.subject for rule in plain}
        for page in sorted(pages, key=lambda page: page.id not in scopes)[:_SAMPLES]:
            access = rules.find_page_access(page.id)
            for user in sorted(rules.users, key=lambda user: user.login not in subjects)[:_SAMPLES]:
                level = api.call(self._server, "core.aclCheck", api.LEVEL, page=page.id, user=user.login)
                names = {user_id(user.login), SIGNED_IN, *map(group_id, user.groups)}
                if not access.unknown and access.allows(names) != (level > 0):
                    raise SourceRefused(CodedMessage("dokuwiki_rules_differ", page=page.id, name=user.login))


def _is_file(item: Item) -> bool:
    return item.id.startswith("file:")


def _wiki_id(item: Item) -> str:
    found = parse_qs(urlsplit(item.uri).query)
    return found["media" if _is_file(item) else "id"][0]


def _file_version(file: api.WikiFile) -> str:
    return f"{file.revision}-{file.size}"


def _read_time(seconds: int) -> datetime | None:
    with suppress(OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(seconds, UTC)
    return None
