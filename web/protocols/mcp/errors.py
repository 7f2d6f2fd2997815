"""Errors before a message was read, in JSON-RPC format; the status gives the kind."""

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError

from cairn.errors import CairnError
from web.api.framework.problems import as_cairn_error, problem

_REFUSED: Final = -32600


def render_error(error: CairnError) -> HttpResponse:
    original = problem(error)
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": _REFUSED, "message": error.message}}
    response = JsonResponse(body, status=error.status)
    for name in ("WWW-Authenticate", "Retry-After"):
        if name in original:
            response[name] = original[name]
    return response


def handlers_add(api: NinjaAPI) -> None:
    def handle(_request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
        return render_error(as_cairn_error(error if isinstance(error, Exception) else error()))

    for kind in (Exception, HttpError, AuthenticationError):
        api.add_exception_handler(kind, handle)
