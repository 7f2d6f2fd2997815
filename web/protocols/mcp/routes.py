"""`/mcp`: the server over streamable HTTP."""

from importlib import import_module

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI

from web.api.framework.problems import add_error_handlers
from web.http.authentication import BearerKey
from web.protocols.mcp.errors import error_response

_TRANSPORT = "web.protocols.mcp.http_transport"

api = NinjaAPI(
    title="Cairn for assistants",
    urls_namespace="mcp",
    docs_url=None,
    openapi_url=None,
    auth=[BearerKey("search", "ask")],
)
add_error_handlers(api, error_response)


@api.post("/mcp")
async def mcp(request: HttpRequest) -> HttpResponse:
    """Import the library at the first request: it takes a second, and few installations use it."""
    response: HttpResponse = await import_module(_TRANSPORT).handle_request(request)
    return response
