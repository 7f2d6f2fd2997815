"""Users, for admins."""
# ruff: noqa: ARG001 (the framework passes the request by name)

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext, gettext_noop
from ninja import Query, Router, Status
from pydantic import BaseModel, Field

from cairn.access.directory import find_users
from cairn.access.selectors import get_or_not_found
from cairn.accounts.bulk import BulkResult, users_join_group, users_leave_group, users_set_active
from cairn.accounts.models import Group as GroupRow
from cairn.accounts.models import User as UserRow
from cairn.accounts.password_links import password_link_create, password_link_revoke
from cairn.accounts.password_mails import password_mail_request
from cairn.accounts.services import user_create, user_update
from cairn.audit.services import record
from cairn.errors import Conflict
from ingestion.erasure.users import user_erase
from web.api.framework.downloads import stream_attachment
from web.api.framework.fields import (
    Body,
    Count,
    DisplayName,
    Email,
    Flag,
    Id,
    Members,
    Password,
    Patch,
    SomeIds,
    Username,
    parse_id_or_no_match,
)
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.framework.problems import invalid_field
from web.api.schemas import User
from web.exports.subject_export import subject_export
from web.http.authentication import needs, principal_of
from web.i18n.languages import language_for
from web.i18n.localize import localize
from web.mail.password_links import site_of, wake_mailer
from web.mail.server import configured_mail_server

router = Router(tags=["Users"], auth=needs(admin=True))
ZIP = {200: {"description": "OK", "content": {"application/zip": {}}}}


class NewUser(Body):
    """A new user. Without a password they can use keys, but not sign in with a password."""

    username: Username
    display_name: DisplayName = ""
    email: Email = ""
    password: Password | None = None
    is_admin: Flag = False
    is_active: Flag = True
    groups: Members = []


class UserPatch(Patch):
    username: Username | None = None
    display_name: DisplayName | None = None
    email: Email | None = None
    password: Password | None = None
    is_admin: Flag | None = None
    is_active: Flag | None = None
    groups: Members | None = None


class NewPasswordLink(Body):
    days: Annotated[Count, Field(ge=1, le=30)] = 7


class PasswordLink(BaseModel):
    url: str
    expires_at: datetime


class PasswordMail(BaseModel):
    """`email`: where the link is sent."""

    email: str


class UserQuery(PageQuery):
    q: str = Field("", max_length=150, description="Part of the user name, display name or email address")
    group: str = Field("", max_length=140, description="Only members of this group")
    is_active: bool | None = None
    is_admin: bool | None = None

    def rows(self) -> "QuerySet[UserRow]":
        group = parse_id_or_no_match(self.group) if self.group else None
        rights = {"is_active": self.is_active, "is_admin": self.is_admin}
        return find_users(self.q, group=group, by_email=True, **rights)


class BatchAction(StrEnum):
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    ADD_TO_GROUP = "add_to_group"
    REMOVE_FROM_GROUP = "remove_from_group"


class UserBatch(Body):
    """`group` is required to add to a group or remove from one."""

    action: BatchAction
    users: SomeIds
    group: Id = ""


class SkippedUser(BaseModel):
    id: str
    detail: str


class UserBatchResult(BaseModel):
    """`unchanged`: users who already were as requested. `skipped`: users who were left out, and why."""

    changed: int
    unchanged: int
    skipped: list[SkippedUser]

    @classmethod
    def of(cls, result: BulkResult) -> "UserBatchResult":
        skipped = [SkippedUser(id=str(user), detail=localize(why)) for user, why in result.skipped.items()]
        return cls(changed=result.changed, unchanged=result.unchanged, skipped=skipped)


@router.get("", summary="List users", response=Page[User])
def user_list(request: HttpRequest, page: Query[UserQuery]) -> Page[User]:
    """Lists users, the oldest account first."""
    found = page_of(page.rows().prefetch_related("member_of"), page)
    return Page(items=[User.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.post("", summary="Create a user", response={201: User})
def user_add(request: HttpRequest, payload: NewUser) -> Status[User]:
    """Creates a user. Without a password, they set one with a password link or sign in elsewhere."""
    row = user_create(
        username=payload.username,
        display_name=payload.display_name,
        email=payload.email,
        password=payload.password,
        is_admin=payload.is_admin,
        is_active=payload.is_active,
        groups=[parse_id_or_no_match(value) for value in payload.groups],
        actor=principal_of(request).actor,
    )
    return Status(201, User.of(row))


@router.post("/batch", summary="Change several users", response=UserBatchResult)
def user_batch(request: HttpRequest, payload: UserBatch) -> UserBatchResult:
    """Changes up to 200 users, all or none; each change is an audit event. Your own account is never
    deactivated, and the last active admin stays active."""
    actor = principal_of(request).actor
    ids = {parse_id_or_no_match(value) for value in payload.users}
    if payload.action in {BatchAction.ACTIVATE, BatchAction.DEACTIVATE}:
        is_active = payload.action is BatchAction.ACTIVATE
        return UserBatchResult.of(users_set_active(ids, is_active=is_active, actor=actor))
    group = GroupRow.objects.filter(pk=parse_id_or_no_match(payload.group)).first()
    if group is None:
        raise invalid_field("body", "group", message=gettext("This group doesn’t exist."))
    change = users_join_group if payload.action is BatchAction.ADD_TO_GROUP else users_leave_group
    return UserBatchResult.of(change(ids, group, actor=actor))


@router.get("/{user_id}", summary="Get a user", response=User)
def user_get(request: HttpRequest, user_id: str) -> User:
    """Returns a user with their groups."""
    return User.of(get_or_not_found(UserRow.objects.all(), user_id))


@router.patch("/{user_id}", summary="Change a user", response=User)
def user_change(request: HttpRequest, user_id: str, payload: UserPatch) -> User:
    """Changes a user. The last active admin cannot be demoted or disabled."""
    sent = payload.sent
    if payload.groups is not None:
        sent["groups"] = [parse_id_or_no_match(value) for value in payload.groups]
    row = get_or_not_found(UserRow.objects.all(), user_id)
    return User.of(user_update(row, **sent, actor=principal_of(request).actor))


@router.delete("/{user_id}", summary="Delete a user", response={204: None})
def user_remove(request: HttpRequest, user_id: str, response: HttpResponse) -> Status[None]:
    """Deletes a user with conversations, keys and sessions. `Location` is the receipt."""
    row = get_or_not_found(UserRow.objects.all(), user_id)
    receipt = user_erase(user=row, actor=principal_of(request).actor)
    response["Location"] = f"/api/v1/receipts/{receipt.id}"
    return Status(204, None)


@router.post("/{user_id}/password-link", summary="Create a password link", response={201: PasswordLink})
def password_link_add(request: HttpRequest, user_id: str, payload: NewPasswordLink) -> Status[PasswordLink]:
    """Creates a one-time link with which the user sets a password: an invitation, or a reset. Any earlier
    link ends. The token is in the fragment of `url`, and is returned only here."""
    row = get_or_not_found(UserRow.objects.all(), user_id)
    link, token = password_link_create(row, days=payload.days, actor=_actor(request))
    url = f"{request.build_absolute_uri('/set-password')}#{token}"
    return Status(201, PasswordLink(url=url, expires_at=link.expires_at))


@router.post("/{user_id}/password-mail", summary="Send a password link by mail", response={202: PasswordMail})
def password_mail_add(request: HttpRequest, user_id: str, payload: NewPasswordLink) -> Status[PasswordMail]:
    """Sends a one-time link to the user's address: an invitation, or a reset. The link is created as the
    message is sent; any earlier link then ends. 409 without a mail server, or without an address."""
    row = get_or_not_found(UserRow.objects.all(), user_id)
    if configured_mail_server() is None:
        raise Conflict(gettext_noop("No mail server is configured. Create a link and pass it on yourself."))
    password_mail_request(
        row, days=payload.days, language=language_for(row), site=site_of(request), actor=_actor(request)
    )
    wake_mailer()
    return Status(202, PasswordMail(email=row.email))


@router.delete("/{user_id}/password-link", summary="Revoke a password link", response={204: None})
def password_link_remove(request: HttpRequest, user_id: str) -> Status[None]:
    """Revokes the one-time link of a user."""
    password_link_revoke(get_or_not_found(UserRow.objects.all(), user_id), actor=_actor(request))
    return Status(204, None)


def _actor(request: HttpRequest) -> UserRow:
    return UserRow.objects.get(pk=principal_of(request).actor)


@router.get("/{user_id}/export", summary="Export a user’s data", openapi_extra={"responses": ZIP})
def user_export(request: HttpRequest, user_id: str) -> StreamingHttpResponse:
    """Exports all data about a user as a ZIP, for requests by the user. The export itself is logged."""
    return export_user(get_or_not_found(UserRow.objects.all(), user_id), actor=principal_of(request).actor)


def export_user(user: UserRow, *, actor: UUID) -> StreamingHttpResponse:
    record("user.exported", actor=actor, subject=f"user:{user.id}")
    return stream_attachment(subject_export(user), name=f"user-{user.id}.zip", media_type="application/zip")
