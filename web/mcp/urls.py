"""Routes for MCP."""

from web.api.counting import patterns_of
from web.mcp.errors import answered
from web.mcp.routes import api

app_name = api.urls_namespace
urlpatterns = [pattern for pattern in patterns_of(api, answered) if pattern.name != "api-root"]
