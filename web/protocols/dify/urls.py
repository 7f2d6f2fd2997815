"""Routes for Dify, which appends `/retrieval` to the configured URL."""

from web.api.framework.route_metrics import patterns_of
from web.protocols.dify.errors import error_response
from web.protocols.dify.routes import api

app_name = api.urls_namespace
urlpatterns = [pattern for pattern in patterns_of(api, error_response) if pattern.name != "api-root"]
