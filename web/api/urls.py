"""Routes of the REST API, below api/."""

from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from web.api.api import api
from web.api.counting import patterns_of
from web.api.problems import problem, unknown_route

app_name = api.urls_namespace
urlpatterns = [
    path("", csrf_exempt(unknown_route)),
    *patterns_of(api, problem, sessions=True),
    re_path(r"^(?P<rest>.*)$", csrf_exempt(unknown_route)),
]
