"""Health page for admins: what doesn't work, and what to do about it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from web.health.report import LIMIT_SECONDS, health_report
from web.pages.shell.decorators import fragment, page, show


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    context = {"tab": "health", "report": health_report(), "limit": round(LIMIT_SECONDS)}
    return show(request, principal, "pages/console/health.html", context, area="console")


@require_safe
@fragment
def attention(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render problems for the overview, which loads them separately, as checks may take seconds.

    `?others` means that the overview has other tasks.
    """
    require_admin(principal)
    context = {"report": health_report(), "others": "others" in request.GET}
    return render(request, "pages/console/_health_needs.html", context)
