"""URLs of SCIM 2.0, below scim/v2/."""

from django.urls import path, re_path

from web.http.late_views import LateView

app_name = "scim"


def _view(name: str) -> LateView:
    """Return a view by its name in this package. The SCIM library takes more than a second to import."""
    return LateView(f"web.protocols.scim.{name}")


urlpatterns = [
    path("ServiceProviderConfig", _view("discovery.config"), name="config"),
    path("ResourceTypes", _view("discovery.resource_types"), name="resource-types"),
    path("ResourceTypes/<str:resource_type>", _view("discovery.resource_type"), name="resource-type"),
    path("Schemas", _view("discovery.schemas"), name="schemas"),
    path("Schemas/<str:schema>", _view("discovery.schema"), name="schema"),
    path("Users", _view("users.users"), name="users"),
    path("Users/<str:user_id>", _view("users.user"), name="user"),
    path("Groups", _view("groups.groups"), name="groups"),
    path("Groups/<str:team_id>", _view("groups.group"), name="group"),
    re_path(r"^(?P<rest>.*)$", _view("discovery.nothing")),
]
