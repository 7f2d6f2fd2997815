"""Administration pages of users: a searchable list, and a page for each user."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cairn.access.directory import find_users
from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import Group, PasswordLink, PasswordMail, User
from cairn.accounts.password_links import is_usable
from web.api.framework.fields import parse_id_or_no_match
from web.identity.second_factor import has_second_factor
from web.mail.server import configured_mail_server
from web.pages.people.choices import Choice
from web.pages.people.list_filters import STATES, USER_ORDERS, ListFilter, labels, page_of_rows
from web.pages.shell.decorators import page, show

GROUPS_NAMED = 3


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user. `more_groups`: how many groups are not named."""

    id: UUID
    username: str
    display_name: str
    email: str
    is_admin: bool
    is_active: bool
    created_at: datetime
    group_names: str
    more_groups: int


@require_safe
@page
def users(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    filters = ListFilter.read(request)
    group = Group.objects.filter(pk=parse_id_or_no_match(filters.group)).first() if filters.group else None
    found = find_users(
        filters.q,
        group=parse_id_or_no_match(filters.group) if filters.group else None,
        by_email=True,
        **filters.rights,
    )
    rows = page_of_rows(request, found.order_by(*filters.order(USER_ORDERS)).prefetch_related("member_of"))
    context = {
        "tab": "users",
        "wanted": filters,
        "rows": rows,
        "users": [_user_row(user) for user in rows],
        "states": labels(STATES),
        "orders": labels(USER_ORDERS),
        "group": group,
    }
    return show(request, principal, "pages/people/users.html", context, area="console")


def _user_row(user: User) -> UserRow:
    names = sorted((str(group) for group in user.member_of.all()), key=str.casefold)
    return UserRow(
        user.id,
        user.username,
        user.display_name,
        user.email,
        user.is_admin,
        user.is_active,
        user.created_at,
        ", ".join(names[:GROUPS_NAMED]),
        len(names[GROUPS_NAMED:]),
    )


@require_safe
@page
def user(request: HttpRequest, principal: Principal, user_id: str) -> HttpResponse:
    require_admin(principal)
    person = get_or_not_found(User.objects.all(), user_id)
    groups = list(person.member_of.order_by("name", "source"))
    context = {
        "tab": "users",
        "person": person,
        "groups": [Choice(str(group.id), group.name) for group in groups if not group.source],
        "directory_groups": [str(group) for group in groups if group.source],
        "link": _find_link(person),
        "mail": PasswordMail.objects.filter(user=person).first(),
        "can_mail": bool(person.email) and configured_mail_server() is not None,
        "has_second_factor": has_second_factor(person),
    }
    return show(request, principal, "pages/people/user.html", context, area="console")


def _find_link(person: User) -> PasswordLink | None:
    link = PasswordLink.objects.filter(user=person).select_related("user").first()
    return link if link and is_usable(link) else None
