"""Routes below v1/."""

from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from web.api.framework.route_metrics import patterns_of
from web.protocols.openai.errors import error_response, unknown_route
from web.protocols.openai.routes import api

app_name = api.urls_namespace
urlpatterns = [
    *(pattern for pattern in patterns_of(api, error_response) if pattern.name != "api-root"),
    re_path(r"^(?P<rest>.*)$", csrf_exempt(unknown_route)),
]
