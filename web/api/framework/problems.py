"""Errors as RFC 9457 problem documents. They never repeat request data."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.exceptions import (
    BadRequest,
    ObjectDoesNotExist,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django.template import loader
from django.utils import translation
from django.views import defaults
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as NinjaValidationError

from cairn.errors import (
    CairnError,
    Conflict,
    InvalidInput,
    MalformedRequest,
    NotFound,
    NotSignedIn,
    PayloadTooLarge,
    PermanentError,
    TransientError,
    Unavailable,
    UnsupportedMedia,
)
from cairn.library.storage import FULL, NO_ROOM
from web.http.authentication import InvalidKey, visible_error
from web.i18n.field_errors import describe_field_error
from web.i18n.languages import ENGLISH, is_script, script_language
from web.i18n.localize import localize

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TRANSLATED_FIELDS = ("title", "detail")
FIELD_ERROR_NAMES = ("loc", "msg", "type")
MOST_ERRORS = 20
LONGEST_NAME = 100  # of a field, in what is said of it


class MethodNotAllowed(PermanentError):
    status = 405
    code = "method_not_allowed"
    title = "This address does not take that method"


class InvalidFields(InvalidInput):
    """`errors`: the first invalid fields in pydantic's format, with `ctx` for texts in plain words."""

    def __init__(self, errors: Sequence[dict[str, Any]]) -> None:
        super().__init__()
        self.errors = list(errors[:MOST_ERRORS])

    def problem(self) -> dict[str, Any]:
        errors = [{name: each[name] for name in FIELD_ERROR_NAMES} for each in self.errors]
        return {**super().problem(), "errors": errors}


def invalid_field(*loc: str | int, message: str, kind: str = "value_error") -> InvalidFields:
    return InvalidFields([{"loc": list(loc), "msg": message, "type": kind}])


_FOREIGN: tuple[tuple[type[Exception], type[CairnError]], ...] = (
    (AuthenticationError, NotSignedIn),
    (Http404, NotFound),
    (ObjectDoesNotExist, NotFound),
    (RequestDataTooBig, PayloadTooLarge),
    (RawPostDataException, UnsupportedMedia),
    (SuspiciousOperation, MalformedRequest),
    (BadRequest, MalformedRequest),
    (MultiPartParserError, MalformedRequest),
    (UnreadablePostError, MalformedRequest),
    (IntegrityError, Conflict),
    (DataError, InvalidInput),
    (OperationalError, Unavailable),
    (InterfaceError, Unavailable),
)
"""Exceptions of libraries, with the Cairn error for each. The first match wins."""

_PASSING = (TransientError, OperationalError, InterfaceError)


def as_cairn_error(error: BaseException) -> CairnError:
    """Convert any exception. Unexpected ones are logged and become a 500."""
    if isinstance(error, CairnError):
        return error
    if isinstance(error, NinjaValidationError):
        return InvalidFields([_without_parameter_name(field_error(item)) for item in error.errors])
    if isinstance(error, ValidationError):
        return InvalidInput(" ".join(error.messages))
    if isinstance(error, HttpError) and error.status_code == MalformedRequest.status:
        return error.__cause__ if isinstance(error.__cause__, CairnError) else MalformedRequest()
    for foreign, ours in _FOREIGN:
        if isinstance(error, foreign):
            if ours is Unavailable:
                log.warning("database error: %s", error)
            return ours()
    if isinstance(error, OSError) and error.errno in FULL:
        return Unavailable(NO_ROOM)
    log.error("unexpected error in a request", exc_info=error)
    return CairnError()


def field_error(item: Mapping[str, Any], *place: str | int) -> dict[str, Any]:
    """Return an error of pydantic, in a field of the request at `place`, without the value sent."""
    loc = [part[:LONGEST_NAME] if isinstance(part, str) else part for part in (*place, *item["loc"])]
    message = str(item["msg"]).removeprefix("Value error, ")
    return {"loc": loc, "msg": message, "type": item["type"], "ctx": item.get("ctx", {})}


def _without_parameter_name(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out the name that the body has in our code."""
    match item["loc"]:
        case ["body", "payload" | "body", *rest]:
            return {**item, "loc": ["body", *rest]}
    return item


def problem_response(error: CairnError, request: HttpRequest | None = None) -> HttpResponse:
    """Build the response: for requests by scripts of pages in plain words and in the page's language."""
    with translation.override(script_language(request) if request else ENGLISH):
        data = {
            name: localize(value) if name in TRANSLATED_FIELDS else value
            for name, value in error.problem().items()
        }
        if request and isinstance(error, InvalidFields) and is_script(request):
            for shown, each in zip(data["errors"], error.errors, strict=True):
                shown["msg"] = describe_field_error(each)
    headers = error_headers(error)
    return JsonResponse(data, status=error.status, content_type=MEDIA_TYPE, headers=headers)


def error_headers(error: CairnError) -> dict[str, str]:
    """Return the headers that belong to an error, whatever the format of its response."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, NotSignedIn) else {}
    if isinstance(error, InvalidKey):
        headers["WWW-Authenticate"] += ' error="invalid_token"'
    return headers | ({"Retry-After": str(error.retry_after)} if isinstance(error, TransientError) else {})


def add_error_handlers(api: NinjaAPI, respond: Callable[[CairnError, HttpRequest], HttpResponse]) -> None:
    """Register one handler for all exceptions, including those with a handler of ninja."""

    def handle(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
        return respond(as_cairn_error(error if isinstance(error, Exception) else error()), request)

    for kind in (Exception, Http404, HttpError, NinjaValidationError, AuthenticationError):
        api.add_exception_handler(kind, handle)


def unknown_route(request: HttpRequest, **_parts: str) -> HttpResponse:
    return problem_response(visible_error(request, NotFound(), sessions=True))


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(("/api/", "/scim/"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: errors before a view is resolved."""
    if _is_api(request):
        return problem_response(as_cairn_error(exception))
    return _page(defaults.bad_request, request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return unknown_route(request) if _is_api(request) else _page(defaults.page_not_found, request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: errors that may succeed on a retry are marked as such."""
    raised = sys.exc_info()[1]
    passing = as_cairn_error(raised) if isinstance(raised, _PASSING) else None
    if _is_api(request):
        return problem_response(passing or CairnError())
    return (
        _unavailable_page(passing)
        if isinstance(passing, TransientError)
        else _page(defaults.server_error, request)
    )


def _unavailable_page(error: TransientError) -> HttpResponse:
    page = loader.get_template("503.html").render()
    return HttpResponse(page, status=error.status, headers={"Retry-After": str(error.retry_after)})


def _page(view: Callable[..., Any], *args: Any) -> HttpResponse:
    response = view(*args)
    assert isinstance(response, HttpResponse)
    return response
