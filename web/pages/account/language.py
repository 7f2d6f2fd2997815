"""Choice of the pages' language: for one's account, or before sign-in for this browser."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.audit.services import record
from web.i18n.languages import is_offered, language_remember
from web.pages.shell.decorators import page


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Set the language cookie. Public, as it changes nothing else."""
    response = redirect(_back(request))
    language_remember(response, _code(request))
    return response


@require_POST
@page
def choose_own(request: HttpRequest, principal: Principal) -> HttpResponse:
    code = _code(request)
    User.objects.filter(pk=principal.user).update(language=code)
    record("user.changed", actor=principal.actor, subject=f"user:{principal.user}", fields=["language"])
    response = redirect("pages:account")
    language_remember(response, code)
    return response


def _code(request: HttpRequest) -> str:
    """Return the chosen language; empty for the browser's, and for unknown ones."""
    code = request.POST.get("language", "")
    return code if is_offered(code) else ""


def _back(request: HttpRequest) -> str:
    to = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(to, allowed_hosts=None, require_https=request.is_secure())
    return to if safe else reverse("account_login")
