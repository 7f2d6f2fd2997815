"""Errors in Dify's format: `{"error_code", "error_msg"}`."""

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse

from cairn.errors import CairnError, Forbidden, NotFound, NotSignedIn
from web.api.framework.problems import InvalidFields, error_headers

_CODES: Final[tuple[tuple[type[CairnError], int], ...]] = (
    (NotSignedIn, 1002),
    (Forbidden, 1002),
    (NotFound, 2001),
)
"""Those that Dify names. Whatever else is wrong has its status as its code."""


def error_response(error: CairnError, _request: HttpRequest | None = None) -> HttpResponse:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), error.status)
    data = {"error_code": code, "error_msg": _message(error)}
    return JsonResponse(data, status=error.status, headers=error_headers(error))


def _message(error: CairnError) -> str:
    if not isinstance(error, InvalidFields):
        return error.message
    first = error.errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in {"body", "payload"})
    return f"{first['msg']}: {place}" if place else str(first["msg"])
