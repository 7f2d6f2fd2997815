"""Routes of the REST API, below api/. Those of HTML pages are in `web.pages.urls`."""

from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from web.api.api import api
from web.api.framework.problems import problem_response, unknown_route
from web.api.framework.route_metrics import patterns_of

app_name = api.urls_namespace
urlpatterns = [
    path("", csrf_exempt(unknown_route)),
    *patterns_of(api, problem_response, sessions=True),
    re_path(r"^(?P<rest>.*)$", csrf_exempt(unknown_route)),
]
