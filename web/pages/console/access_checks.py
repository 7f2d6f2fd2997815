"""Results of access checks, for admins."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cairn.access.models import AccessCheck, CheckState
from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.settings import environment
from web.access_checks.artifacts import find_possible_leftovers
from web.pages.shell.decorators import page, show

SHOWN = 20


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    checks = list(AccessCheck.objects.select_related("requested_by")[:SHOWN])
    context = {
        "tab": "access-checks",
        "checks": checks,
        "running": bool(checks) and checks[0].state == CheckState.RUNNING,
        "hours": environment().access_check_interval_hours,
        "leftovers": find_possible_leftovers(),
    }
    return show(request, principal, "pages/console/access_checks.html", context, area="console")
