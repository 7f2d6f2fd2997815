"""Errors in Dify's format: `{"error_code", "error_msg"}`."""

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as NinjaValidationError

from cairn.errors import CairnError, Forbidden, NotFound, NotSignedIn
from web.api.framework.problems import InvalidFields, as_cairn_error, problem

_CODES: Final[tuple[tuple[type[CairnError], int], ...]] = (
    (NotSignedIn, 1002),
    (Forbidden, 1002),
    (NotFound, 2001),
)
"""Those that Dify names. Whatever else is wrong has its status as its code."""


def render_error(error: CairnError) -> HttpResponse:
    original = problem(error)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), error.status)
    response = JsonResponse({"error_code": code, "error_msg": _message(error)}, status=error.status)
    for name in ("WWW-Authenticate", "Retry-After"):
        if name in original:
            response[name] = original[name]
    return response


def _message(error: CairnError) -> str:
    if not isinstance(error, InvalidFields):
        return error.message
    first = error.errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in {"body", "payload"})
    return f"{first['msg']}: {place}" if place else str(first["msg"])


def handlers_add(api: NinjaAPI) -> None:
    def handle(_request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
        return render_error(as_cairn_error(error if isinstance(error, Exception) else error()))

    for kind in (Exception, HttpError, NinjaValidationError, AuthenticationError):
        api.add_exception_handler(kind, handle)
