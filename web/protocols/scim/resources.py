"""Users and groups as SCIM 2.0 resources (RFC 7643), with the attributes that Cairn stores."""

from typing import Annotated, Any

from django.http import HttpRequest
from django.urls import reverse
from pydantic import Field
from scim2_models import URN as Urn  # noqa: N811 a type, not a constant
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Filter,
    Meta,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from cairn.accounts.models import Group as GroupRow
from cairn.accounts.models import User as UserRow
from cairn.accounts.provisioning import SCIM

PER_PAGE = 100
WORK = "work"


class Email(ComplexAttribute):
    """An e-mail address. One is stored for each user."""

    value: str | None = None
    type: str | None = Field(None, examples=[WORK])
    primary: bool | None = None


class User(Resource[Any]):
    __schema__ = Urn("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    display_name: str | None = None
    active: bool | None = None
    emails: list[Email] | None = None


class GroupMember(ComplexAttribute):
    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])


class Group(Resource[Any]):
    __schema__ = Urn("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    members: list[GroupMember] | None = None


POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""Directories send unsupported attributes, and set a work address that doesn't exist yet."""

CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=PER_PAGE),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=False),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="API key",
            description="An administrator's API key with the scope admin, as bearer token",
            primary=True,
        )
    ],
)
PROVIDER = ScimProvider(
    models=[User, Group],
    resource_types=[ResourceType.from_resource(User), ResourceType.from_resource(Group)],
    config=CONFIG,
    policy=POLICY,
)


def build_user_resource(request: HttpRequest, row: UserRow) -> User:
    return User(
        id=str(row.id),
        external_id=external_id_of(row) or None,
        user_name=row.username,
        display_name=row.display_name or None,
        active=row.is_active,
        emails=[Email(value=row.email, type=WORK, primary=True)] if row.email else None,
        meta=Meta(resource_type="User", created=row.created_at, location=_place(request, "user", row.id)),
    )


def external_id_of(row: UserRow) -> str:
    """Return the external id of a user with prefetched identities."""
    return next((each.external_id for each in row.identities.all() if each.source == SCIM), "")


def email_of(user: User) -> str:
    """Return the primary address, else the first."""
    sent = [email for email in user.emails or [] if email.value]
    chosen = next((email for email in sent if email.primary), sent[0] if sent else None)
    return (chosen.value or "") if chosen else ""


def build_group_resource(request: HttpRequest, row: GroupRow, *, members: bool) -> Group:
    """Build the group. `members` requires prefetched members, or is left out."""
    shown = [_member(request, user) for user in row.members.all()] if members else None
    return Group(
        id=str(row.id),
        external_id=row.external_id or None,
        display_name=row.name,
        members=shown or None,
        meta=Meta(resource_type="Group", created=row.created_at, location=_place(request, "group", row.id)),
    )


def _member(request: HttpRequest, user: UserRow) -> GroupMember:
    return GroupMember(value=str(user.id), type="User", ref=Reference(_place(request, "user", user.id)))


def _place(request: HttpRequest, kind: str, identity: object) -> str:
    return request.build_absolute_uri(reverse(f"scim:{kind}", args=[str(identity)]))
