"""Errors in OpenAI's format: `{"error": {"message", "type", "param", "code"}}`."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from cairn.errors import (
    CairnError,
    Forbidden,
    InvalidInput,
    MalformedRequest,
    NotFound,
    NotSignedIn,
    QuotaExceeded,
    RateLimited,
    TransientError,
)
from web.api.framework.problems import InvalidFields, MethodNotAllowed, error_headers
from web.http.authentication import visible_error

_KINDS: tuple[tuple[type[CairnError], str, str | None], ...] = (
    (NotSignedIn, "invalid_request_error", "invalid_api_key"),
    (Forbidden, "permission_error", None),
    (QuotaExceeded, "insufficient_quota", "insufficient_quota"),
    (RateLimited, "rate_limit_error", "rate_limit_exceeded"),
    (TransientError, "server_error", None),
    (InvalidInput, "invalid_request_error", None),
    (NotFound, "invalid_request_error", None),
    (MethodNotAllowed, "invalid_request_error", None),
)
"""Type and code by error class; the first match counts. Without a code, Cairn's own is used."""


def error_data(error: CairnError) -> dict[str, Any]:
    kind, code = next(
        ((kind, code) for each, kind, code in _KINDS if isinstance(error, each)), ("server_error", None)
    )
    message, param = _message_and_param(error)
    return {"error": {"message": message, "type": kind, "param": param, "code": code or error.code}}


def _message_and_param(error: CairnError) -> tuple[str, str | None]:
    if not isinstance(error, InvalidFields):
        return error.message, None
    first = error.errors[0]
    param = ".".join(str(part) for part in first["loc"] if part != "body")
    return f"{first['msg']}: {param}" if param else str(first["msg"]), param or None


def error_response(error: CairnError, _request: HttpRequest | None = None) -> HttpResponse:
    """Return the error with the problem's status and headers; OpenAI clients expect 400, not 422."""
    status = MalformedRequest.status if error.status == InvalidInput.status else error.status
    return JsonResponse(error_data(error), status=status, headers=error_headers(error))


def unknown_route(request: HttpRequest, **_parts: str) -> HttpResponse:
    return error_response(visible_error(request, NotFound("There is no such address here."), sessions=False))
