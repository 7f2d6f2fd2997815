"""Action API of MediaWiki."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError

from cairn.messages import CodedMessage
from ingestion.sources.json_api import RequestRefused
from ingestion.sources.protocol import SourceRefused, SourceUnavailable
from ingestion.sources.web_server import Answer, WebServer

PATH: Final = "api.php"
MAX_ANSWERS: Final = 1_000_000
_SIGNED_OUT: Final = frozenset(("assertuserfailed", "assertnameduserfailed"))
_MISSING: Final = frozenset(("nosuchpageid", "missingtitle"))
_BUSY: Final = frozenset(("ratelimited", "maxlag", "readonly"))
_WAIT_SECONDS: Final = 60


class Revision(BaseModel):
    """A version of a page."""

    timestamp: datetime | None = None


class FileInfo(BaseModel):
    """The current version of an uploaded file."""

    url: str = ""
    size: int = 0
    sha1: str = ""
    timestamp: datetime | None = None


class WikiPage(BaseModel):
    """A page. `touched` also changes with the templates that the page uses. `imagerepository` is "local" for
    files of this wiki."""

    pageid: int
    ns: int
    title: str
    lastrevid: int = 0
    touched: str = ""
    canonicalurl: str = ""
    pagelanguagehtmlcode: str = ""
    revisions: list[Revision] = []
    imagerepository: str = ""
    imageinfo: list[FileInfo] = []


class ParsedPage(BaseModel):
    """A page as HTML."""

    revid: int
    text: str


class Namespace(BaseModel):
    """`canonical` is the English name of one that MediaWiki itself has."""

    id: int
    name: str
    canonical: str = ""
    content: bool = False


class NamespaceAlias(BaseModel):
    """Another name of a namespace."""

    id: int
    alias: str


class General(BaseModel):
    """`server` is the address that the wiki itself uses."""

    server: str


class User(BaseModel):
    """The account that Cairn signs in with."""

    rights: list[str] = []


class _Pages(BaseModel):
    pages: list[dict[str, Any]] = []


class _SiteInfo(BaseModel):
    general: General
    namespaces: dict[str, Namespace]
    namespacealiases: list[NamespaceAlias] = []


class _UserInfo(BaseModel):
    userinfo: User


class _LogEvent(BaseModel):
    logid: int


class _LogEvents(BaseModel):
    logevents: list[_LogEvent]


class _Tokens(BaseModel):
    logintoken: str


class _Login(BaseModel):
    result: str
    reason: Any = ""


class _Error(BaseModel):
    code: str
    info: str = ""


class _Reply(BaseModel):
    error: _Error | None = None
    batchcomplete: bool = False
    following: dict[str, str | int] = Field(default={}, alias="continue")
    query: dict[str, Any] = {}
    parse: Any = None
    login: Any = None


class NotThere(SourceRefused):
    """The page doesn't exist."""


M = TypeVar("M", bound=BaseModel)


class MediawikiApi:
    """Client of the API. It signs in before the first request, if it has a user name, and again when the
    session ended."""

    def __init__(self, server: WebServer, username: str = "", password: str = "") -> None:
        self._server, self._username, self._password = server, username, password
        self._signed_in = False
        self._site: _SiteInfo | None = None

    def read_user(self) -> User:
        return self._parse(
            self._ask(action="query", meta="userinfo", uiprop="rights").query, _UserInfo
        ).userinfo

    def read_server(self) -> str:
        """Return the address that the wiki itself uses."""
        return self._read_site().general.server

    def find_namespaces(self, names: tuple[str, ...]) -> list[Namespace]:
        """Return the namespaces with these names or numbers, without names those with content."""
        site = self._read_site()
        known = {each.id: each for each in site.namespaces.values() if each.id >= 0}
        if not names:
            return [each for each in known.values() if each.content]
        by_name = {"main": 0}
        by_name |= {_fold(each.alias): each.id for each in site.namespacealiases}
        by_name |= {
            _fold(name): each.id for each in known.values() for name in (each.canonical, each.name) if name
        }
        by_name |= {str(number): number for number in known}
        return [self._find_namespace(name, known, by_name) for name in names]

    def get_namespace(self, number: int) -> Namespace:
        return self.find_namespaces((str(number),))[0]

    def list_pages(self, **params: str) -> Iterator[WikiPage]:
        """Yield the pages of a query. The properties of a page may come in several answers. The first that
        has a property counts: later ones have earlier versions of a file."""
        following, batch = dict[str, str](), dict[Any, dict[str, Any]]()
        for _answer in range(MAX_ANSWERS):
            reply = self._ask(**{"action": "query", **params, **following})
            for page in self._parse(reply.query, _Pages).pages:
                number = page.get("pageid")
                batch[number] = {**page, **batch.get(number, {})}
            if reply.batchcomplete:
                yield from (self._parse(page, WikiPage) for page in batch.values() if not page.get("missing"))
                batch.clear()
            before, following = following, {name: str(value) for name, value in reply.following.items()}
            if not following:
                if not reply.batchcomplete:
                    raise self._server.invalid("batchcomplete")
                return
            if following == before:
                raise self._server.invalid("continue")
        raise SourceRefused(CodedMessage("source_answer_endless", server=self._server.name))

    def read_last_move(self) -> int:
        """Return the number of the newest entry in the log of renamed pages, 0 if there is none."""
        params = {"list": "logevents", "letype": "move", "leprop": "ids", "lelimit": "1"}
        events = self._parse(self._ask(action="query", **params).query, _LogEvents).logevents
        return events[0].logid if events else 0

    def read_page(self, number: int) -> ParsedPage:
        """Return a page as HTML. Raises NotThere."""
        params = {
            "prop": "text|revid",
            "disableeditsection": "1",
            "disablelimitreport": "1",
            "disabletoc": "1",
            "wrapoutputclass": "",
        }
        return self._parse(self._ask(action="parse", pageid=str(number), **params).parse, ParsedPage)

    def read_file(self, number: int) -> FileInfo:
        """Return the current version of a file. Raises NotThere."""
        params = {"pageids": str(number), "prop": "imageinfo", "iiprop": "url|size|sha1"}
        for page in self._parse(self._ask(action="query", **params).query, _Pages).pages:
            if not page.get("missing") and page.get("imageinfo"):
                return self._parse(page, WikiPage).imageinfo[0]
        raise NotThere(CodedMessage("source_item_gone", name=str(number)))

    def _read_site(self) -> _SiteInfo:
        if self._site is None:
            params = {"meta": "siteinfo", "siprop": "general|namespaces|namespacealiases"}
            self._site = self._parse(self._ask(action="query", **params).query, _SiteInfo)
        return self._site

    def _find_namespace(
        self, name: str, known: Mapping[int, Namespace], by_name: Mapping[str, int]
    ) -> Namespace:
        number = by_name.get(_fold(name))
        if number is None or number not in known:
            names = ", ".join(each.name or str(each.id) for each in known.values())
            raise SourceRefused(CodedMessage("mediawiki_namespace_missing", name=name, names=names[:500]))
        return known[number]

    def _ask(self, **params: str) -> _Reply:
        """Send a request as the configured account. A public wiki would answer nobody as well, and might
        leave out what only the account may read, so each request demands the account."""
        if not self._username:
            return self._get(params)
        if not self._signed_in:
            self._sign_in()
        try:
            return self._get({**params, "assert": "user"})
        except _SignedOut:
            self._sign_in()
            return self._get({**params, "assert": "user"})

    def _sign_in(self) -> None:
        found = self._get({"action": "query", "meta": "tokens", "type": "login"}).query.get("tokens")
        fields = {
            "action": "login",
            "lgname": self._username,
            "lgpassword": self._password,
            "lgtoken": self._parse(found, _Tokens).logintoken,
        }
        reply = self._read(lambda: self._server.post_form(PATH, {**_FORMAT, **fields}))
        login = self._parse(reply.login, _Login)
        if login.result != "Success":
            reason = str(login.reason or login.result)[:200]
            raise SourceRefused(CodedMessage("source_token_refused", server=self._server.name, reason=reason))
        self._signed_in = True

    def _get(self, params: Mapping[str, str]) -> _Reply:
        return self._read(lambda: self._server.get(PATH, {**_FORMAT, **params}))

    def _read(self, request: Callable[[], Answer]) -> _Reply:
        answer = request()
        if answer.status == 404 or answer.content.lstrip()[:1] == b"<":
            raise SourceRefused(CodedMessage("mediawiki_api_missing", server=self._server.name))
        if answer.status >= 400:
            raise RequestRefused(self._server.name, PATH, answer.status)
        try:
            reply = _Reply.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._server.invalid(error.errors()[0]["msg"]) from error
        if reply.error:
            raise self._error(reply.error)
        return reply

    def _error(self, error: _Error) -> SourceRefused | SourceUnavailable:
        name = self._server.name
        if error.code in _SIGNED_OUT:
            return _SignedOut(CodedMessage("source_token_refused", server=name, reason=error.info[:200]))
        if error.code in _MISSING:
            return NotThere(CodedMessage("source_item_gone", name=error.info[:200]))
        if error.code == "readapidenied":
            code = "mediawiki_read_refused" if self._username else "mediawiki_sign_in_needed"
            return SourceRefused(CodedMessage(code, server=name))
        if error.code in _BUSY:
            message = CodedMessage("source_answer_invalid", server=name, reason=error.info[:200])
            return SourceUnavailable(message, retry_after=_WAIT_SECONDS)
        return self._server.invalid(f"{error.code}: {error.info}")

    def _parse(self, value: Any, kind: type[M]) -> M:
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            raise self._server.invalid(error.errors()[0]["msg"]) from error


_FORMAT: Final = {"format": "json", "formatversion": "2"}


class _SignedOut(SourceRefused):
    """The session of the account ended."""


def _fold(name: str) -> str:
    return name.replace("_", " ").casefold()
