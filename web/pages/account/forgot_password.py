"""The page on which people who forgot their password have a link sent to their address.

It never reveals whether an account or an address exists: a worker looks it up.
"""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cairn.errors import Unavailable
from ingestion import broker
from web.identity.sign_in_throttling import may_request_reset
from web.mail.password_links import can_reset_by_mail, find_public_site
from web.pages.account.sign_in import render_throttled

LONGEST = 254


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def forgot_password(request: HttpRequest) -> HttpResponse:
    site = find_public_site()
    if site is None or not can_reset_by_mail():
        raise Http404
    name = request.POST.get("name", "").replace("\0", "").strip()[:LONGEST]
    if not name:
        return render(request, "pages/forgot_password.html")
    if not may_request_reset(request):
        return render_throttled(request)
    try:
        language = get_language() or ""
        broker.send_private("web.request_password_resets", broker.WATCHES, name, language, site)
    except Unavailable:
        return render(request, "pages/forgot_password.html", {"failed": True, "name": name}, status=503)
    return render(request, "pages/forgot_password.html", {"sent": True})
