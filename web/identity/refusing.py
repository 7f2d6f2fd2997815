"""Pages that say why somebody is not let in."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext


def refused(request: HttpRequest, reason: str) -> HttpResponse:
    return render(request, "pages/refused.html", {"reason": reason}, status=HTTPStatus.FORBIDDEN)


def failed(request: HttpRequest, provider: str) -> HttpResponse:
    """Why exactly is in the log alone: it is of use to who tries to get in."""
    told = gettext("Signing in with {provider} did not work. Try again from the sign-in page.")
    return refused(request, told.format(provider=provider))
