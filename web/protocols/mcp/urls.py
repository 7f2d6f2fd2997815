"""Routes for MCP."""

from web.api.framework.route_metrics import patterns_of
from web.protocols.mcp.errors import error_response
from web.protocols.mcp.routes import api

app_name = api.urls_namespace
urlpatterns = [pattern for pattern in patterns_of(api, error_response) if pattern.name != "api-root"]
