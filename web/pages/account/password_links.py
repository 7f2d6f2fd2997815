"""The page on which invited users, and those whose password is reset, set a password.

The token is in the fragment of the address, so that it is neither logged nor passed on; a script puts it into
the form. Opening the page does not use up the link: mail scanners open links.
"""

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from cairn.accounts.password_links import password_link_find, password_link_use
from cairn.errors import InvalidInput, NotFound
from web.i18n.localize import localize
from web.identity.sign_in_throttling import may_try
from web.mail.password_links import can_reset_by_mail
from web.pages.account.sign_in import render_throttled

LONGEST = 1024


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def set_password(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "pages/set_password.html", {"can_reset": can_reset_by_mail()})
    if not may_try(request, ""):
        return render_throttled(request)
    token = request.POST.get("token", "")[:LONGEST]
    try:
        user = password_link_use(token, _read_password(request))
    except (InvalidInput, NotFound) as error:
        context = {"error": localize(error.message), "token": token}
        return render(request, "pages/set_password.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    messages.success(request, gettext("Password set. Sign in as {name}.").format(name=user.username))
    return redirect("account_login")


@never_cache
@sensitive_post_parameters()
@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """Return 204 for a link that works, else why it doesn't. This doesn't use up the link."""
    if not may_try(request, ""):
        return HttpResponse(status=HTTPStatus.TOO_MANY_REQUESTS)
    try:
        password_link_find(request.POST.get("token", "")[:LONGEST])
    except NotFound:
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _read_password(request: HttpRequest) -> str:
    password = request.POST.get("password", "")[:LONGEST]
    if password != request.POST.get("repeated", "")[:LONGEST]:
        raise InvalidInput(gettext("The two passwords differ."))
    return password
