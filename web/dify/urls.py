"""Routes for Dify, which appends `/retrieval` to the configured URL."""

from web.api.counting import patterns_of
from web.dify.errors import answered
from web.dify.routes import api

app_name = api.urls_namespace
urlpatterns = [pattern for pattern in patterns_of(api, answered) if pattern.name != "api-root"]
