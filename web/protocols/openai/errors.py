"""Errors in OpenAI's format: `{"error": {"message", "type", "param", "code"}}`."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as NinjaValidationError

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
from web.api.framework.problems import InvalidFields, MethodNotAllowed, as_cairn_error, problem
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
"""Type and code by what went wrong; the first that fits counts. Without a code Cairn's own is told."""


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


def render_error(error: CairnError) -> HttpResponse:
    """Return the error with the problem's status and headers; OpenAI clients expect 400, not 422."""
    original = problem(error)
    status = MalformedRequest.status if error.status == InvalidInput.status else error.status
    response = JsonResponse(error_data(error), status=status)
    for name in ("WWW-Authenticate", "Retry-After"):
        if name in original:
            response[name] = original[name]
    return response


def handlers_add(api: NinjaAPI) -> None:
    def handle(_request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
        return render_error(as_cairn_error(error if isinstance(error, Exception) else error()))

    for kind in (Exception, HttpError, NinjaValidationError, AuthenticationError):
        api.add_exception_handler(kind, handle)


def unknown_route(request: HttpRequest, **_parts: str) -> HttpResponse:
    return render_error(visible_error(request, NotFound("There is no such address here."), sessions=False))
