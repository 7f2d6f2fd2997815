"""The logo and the colours of the organisation, also for people who haven't signed in."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cairn.settings.stored.models import Logo
from cairn.settings.stored.sections import Branding
from cairn.settings.stored.store import load_section
from web.presentation.branding import render_stylesheet

_CACHED = "private, max-age=86400"  # the address changes with the content


@require_safe
def logo(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    found = Logo.objects.first()
    if found is None:
        raise Http404
    return HttpResponse(bytes(found.content), "image/png", headers={"Cache-Control": _CACHED})


@require_safe
def stylesheet(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    color = load_section(Branding).accent_color
    text = render_stylesheet(color) if color else ""
    return HttpResponse(text, "text/css; charset=utf-8", headers={"Cache-Control": _CACHED})
