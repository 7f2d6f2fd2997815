"""Errors before a message was read, in JSON-RPC format; the status gives the kind."""

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse

from cairn.errors import CairnError
from web.api.framework.problems import error_headers

_REFUSED: Final = -32600


def error_response(error: CairnError, _request: HttpRequest | None = None) -> HttpResponse:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": _REFUSED, "message": error.message}}
    return JsonResponse(body, status=error.status, headers=error_headers(error))
