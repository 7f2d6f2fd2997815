"""Administration pages of groups: a searchable list, and a page for each group with its members."""

from dataclasses import replace

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cairn.access.directory import find_groups, find_users
from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import Group
from web.pages.people.choices import Choice
from web.pages.people.list_filters import GROUP_ORDERS, ListFilter, labels, page_of_rows
from web.pages.shell.decorators import page, show


@require_safe
@page
def groups(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    filters = ListFilter.read(request)
    found = find_groups(filters.q).annotate(size=Count("members"))
    context = {
        "tab": "groups",
        "wanted": filters,
        "rows": page_of_rows(request, found.order_by(*filters.order(GROUP_ORDERS))),
        "orders": labels(GROUP_ORDERS),
    }
    return show(request, principal, "pages/people/groups.html", context, area="console")


@require_safe
@page
def group(request: HttpRequest, principal: Principal, group_id: str) -> HttpResponse:
    require_admin(principal)
    team = get_or_not_found(Group.objects.all(), group_id)
    filters = ListFilter.read(request)
    members = find_users(filters.q, group=team.pk, by_email=True).order_by("username", "id")
    managers = team.managers.order_by("username")
    context = {
        "tab": "groups",
        "team": team,
        "wanted": filters,
        "rows": page_of_rows(request, members),
        "member_filters": replace(filters, group=str(team.pk)).in_api,
        "managers": [Choice(str(user.id), user.label) for user in managers],
    }
    return show(request, principal, "pages/people/group.html", context, area="console")
