"""JSON-RPC API of DokuWiki."""

from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from cairn.messages import CodedMessage
from ingestion.sources.protocol import SourceRefused, SourceUnavailable
from ingestion.sources.web_server import WebServer

_PATH: Final = "lib/exe/jsonrpc.php/"
_MISSING: Final = frozenset((121, 221))
_FORBIDDEN: Final = frozenset((-32604, 111, 211))
_NO_METHOD: Final = frozenset((-32603, -32605))

T = TypeVar("T")


class WikiPage(BaseModel):
    """A page as the API lists it."""

    id: str
    revision: int
    size: int | None = None
    title: str = ""
    hash: str = ""


class WikiFile(BaseModel):
    """An uploaded file as the API lists it."""

    id: str
    revision: int
    size: int


class Account(BaseModel):
    """The account that Cairn signs in with."""

    login: str
    isadmin: bool


class _Error(BaseModel):
    code: int
    message: str = ""


class _Reply(BaseModel):
    result: Any = None
    error: _Error | None = None


class NotThere(SourceRefused):
    """The page or file doesn't exist, or the account may not do this."""


PAGES: Final = TypeAdapter(list[WikiPage])
FILES: Final = TypeAdapter(list[WikiFile])
PAGE: Final = TypeAdapter(WikiPage)
FILE: Final = TypeAdapter(WikiFile)
ACCOUNT: Final = TypeAdapter(Account)
TEXT: Final = TypeAdapter(str)
LEVEL: Final = TypeAdapter(int)


def call(server: WebServer, method: str, kind: TypeAdapter[T], **params: object) -> T:
    """Call a method. Raises NotThere, SourceUnavailable or SourceRefused."""
    answer = server.post(_PATH + method, params)
    if answer.status == 404 and not answer.content.startswith(b"{"):
        raise SourceRefused(CodedMessage("dokuwiki_api_missing", server=server.name))
    try:
        reply = _Reply.model_validate_json(answer.content)
        if reply.error and (reply.error.code or reply.result is None):
            raise _error(server, reply.error)
        return kind.validate_python(reply.result)
    except ValidationError as error:
        raise server.invalid(f"HTTP {answer.status}, {error.errors()[0]['msg']}") from error


def _error(server: WebServer, error: _Error) -> SourceRefused | SourceUnavailable:
    if error.code in _MISSING or error.code in _FORBIDDEN:
        return NotThere(CodedMessage("dokuwiki_superuser_required"))
    if error.code == 0:  # anonymous
        return SourceRefused(CodedMessage("source_sign_in_refused", server=server.name))
    if error.code in _NO_METHOD:
        return SourceRefused(CodedMessage("dokuwiki_api_missing", server=server.name))
    return server.invalid(error.message)
