"""Impersonation for admins: see what a person may read, but not what they asked."""

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import Forbidden
from web.http.authentication import VIEWED
from web.pages.shell.decorators import page


@require_POST
@page
def view_as(request: HttpRequest, principal: Principal, user_id: str) -> HttpResponse:
    require_admin(principal)
    user = get_or_not_found(User.objects.active(), user_id)
    if user.id == principal.user:
        raise Forbidden(gettext("You’re already viewing Cairn as yourself."))
    request.session[VIEWED] = str(user.id)
    record("view_as.started", actor=principal.actor, subject=f"user:{user.id}")
    return redirect("pages:library")


@require_POST
def view_as_stop(request: HttpRequest) -> HttpResponse:
    """Stop viewing. Outside the page decorators, which are read-only while viewing."""
    if not isinstance(request.user, User):
        return redirect_to_login("/")
    viewed = request.session.pop(VIEWED, None)
    if viewed:
        record("view_as.ended", actor=request.user.id, subject=f"user:{viewed}")
    return redirect("pages:console-users" if request.user.is_admin else "pages:chat")
