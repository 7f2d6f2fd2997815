"""URLs of SCIM 2.0, below scim/v2/."""

from django.urls import path, re_path

from web.protocols.scim import discovery, groups, users

app_name = "scim"

urlpatterns = [
    path("ServiceProviderConfig", discovery.config, name="config"),
    path("ResourceTypes", discovery.resource_types, name="resource-types"),
    path("ResourceTypes/<str:resource_type>", discovery.resource_type, name="resource-type"),
    path("Schemas", discovery.schemas, name="schemas"),
    path("Schemas/<str:schema>", discovery.schema, name="schema"),
    path("Users", users.users, name="users"),
    path("Users/<str:user_id>", users.user, name="user"),
    path("Groups", groups.groups, name="groups"),
    path("Groups/<str:team_id>", groups.group, name="group"),
    re_path(r"^(?P<rest>.*)$", discovery.nothing),
]
