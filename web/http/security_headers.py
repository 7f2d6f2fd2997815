"""Headers of all responses, including static files.

The Content-Security-Policy is CONTENT_SECURITY_POLICY in `cairn.settings.django`; django-csp sends it.
"""

from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from web.http.shutdown import draining

HEADERS: Final = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
PRIVATE: Final = "private, no-store"


class HeadersMiddleware(MiddlewareMixin):
    """Make responses private to the client, unless the view sets its own cache headers."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if not request.path_info.startswith(settings.STATIC_URL):
            response.headers.setdefault("Cache-Control", PRIVATE)
        if draining.is_set():
            response.headers["Connection"] = "close"  # the next request goes to a process that stays
        return response
