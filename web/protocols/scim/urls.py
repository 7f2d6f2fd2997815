"""URLs of SCIM 2.0, below scim/v2/."""

from collections.abc import Callable
from importlib import import_module

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

app_name = "scim"


def _view(module: str, name: str) -> Callable[..., HttpResponse]:
    """Return a view that is imported at its first request. Its models would take a second of every start."""

    @csrf_exempt  # requests are authenticated by key, never by cookie
    def view(request: HttpRequest, **parts: str) -> HttpResponse:
        response: HttpResponse = getattr(import_module(f"web.protocols.scim.{module}"), name)(
            request, **parts
        )
        return response

    return view


urlpatterns = [
    path("ServiceProviderConfig", _view("discovery", "config"), name="config"),
    path("ResourceTypes", _view("discovery", "resource_types"), name="resource-types"),
    path("ResourceTypes/<str:resource_type>", _view("discovery", "resource_type"), name="resource-type"),
    path("Schemas", _view("discovery", "schemas"), name="schemas"),
    path("Schemas/<str:schema>", _view("discovery", "schema"), name="schema"),
    path("Users", _view("users", "users"), name="users"),
    path("Users/<str:user_id>", _view("users", "user"), name="user"),
    path("Groups", _view("groups", "groups"), name="groups"),
    path("Groups/<str:team_id>", _view("groups", "group"), name="group"),
    re_path(r"^(?P<rest>.*)$", _view("discovery", "nothing")),
]
