"""Error pages of sign-in with identity providers."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext

from web.i18n.localize import localize


def render_refusal(request: HttpRequest, reason: str) -> HttpResponse:
    return render(request, "pages/refused.html", {"reason": localize(reason)}, status=HTTPStatus.FORBIDDEN)


def render_failure(request: HttpRequest, provider: str) -> HttpResponse:
    """Show a general error. The reason, which would help attackers, is only logged."""
    message = gettext("Couldn’t sign in with {provider}. Try again from the sign-in page.")
    return render_refusal(request, message.format(provider=provider))
