"""The user's account page, with password and API keys."""

from typing import Any

from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import Forbidden, InvalidInput, NotFound
from web.i18n.localize import localize
from web.identity.second_factor import has_second_factor
from web.pages.account.api_keys import example_command, key_fields, key_make
from web.pages.account.sign_in import render_throttled
from web.pages.shell.decorators import page, show


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@page
def account(request: HttpRequest, principal: Principal) -> HttpResponse:
    if principal.viewer:
        raise Forbidden(gettext("Stop viewing as someone else to see your own account."))
    if request.method != "POST":
        return _account(request, principal)
    if not ratelimit.consume(request, action="change_password", user=request.user):
        return render_throttled(request)
    form = PasswordChangeForm(_user(request), request.POST)
    if not form.is_valid():
        return _account(request, principal, password_form=form, status=422)
    update_session_auth_hash(request, form.save())
    record("user.changed", actor=principal.actor, subject=f"user:{principal.user}", fields=["password"])
    messages.success(request, gettext("Password changed."))
    return redirect("pages:account")


@require_POST
@page
def key_create(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Create a key and render it in the response, so that it is not stored in a session or URL."""
    try:
        row, key = key_make(request, principal, _user(request))
    except (InvalidInput, NotFound) as error:
        return _account(request, principal, key_error=localize(error.message), status=422)
    return _account(request, principal, fresh_key=key, fresh_command=example_command(request, row, key))


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # the page decorator let them in
    return request.user


def _account(
    request: HttpRequest, principal: Principal, *, status: int = 200, **context: Any
) -> HttpResponse:
    user = _user(request)
    shown = {
        **key_fields(principal, user),
        "password_form": PasswordChangeForm(user),
        "me_has_password": user.has_usable_password(),
        "second_factor": has_second_factor(user),
        "languages": settings.LANGUAGES,
        "own_language": user.language,
        "own_display_name": user.display_name,
        "own_email": user.email,
        **context,
    }
    return show(request, principal, "pages/account.html", shown, status=status)
