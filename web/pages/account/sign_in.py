"""Sign-in and sign-out."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from allauth.account.forms import LoginForm
from allauth.account.views import LoginView, LogoutView
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST

from cairn.errors import Unavailable
from web.identity.configured_providers import identity_providers
from web.identity.sign_in_throttling import may_try
from web.mail.password_links import can_reset_by_mail

WAIT_SECONDS = 300
"""The waiting time shown to people; see web.identity.sign_in_throttling."""


@dataclass(frozen=True, slots=True)
class ProviderLink:
    name: str
    address: str


def list_provider_links(next_url: str | None) -> list[ProviderLink]:
    """Return the identity providers for the sign-in page."""
    query = f"?{urlencode({'next': next_url})}" if next_url else ""
    providers = identity_providers()
    return [
        *(ProviderLink(p.name, reverse("openid_connect_login", args=[p.id]) + query) for p in providers.oidc),
        *(ProviderLink(p.name, reverse("saml_login", args=[p.id]) + query) for p in providers.saml),
    ]


class SignInView(LoginView):
    template_name = "pages/login.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST" and not may_try(request, request.POST.get("username", "")):
            return render_throttled(request)
        response: HttpResponse = super().dispatch(request, *args, **kwargs)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {
            **super().get_context_data(**kwargs),
            "providers": list_provider_links(self.get_next_url()),
            "can_reset": can_reset_by_mail(),
        }

    def form_invalid(self, form: LoginForm) -> HttpResponse:
        throttled = is_throttled(form)
        away = form.has_error(NON_FIELD_ERRORS, code=Unavailable.code)
        context: dict[str, Any] = self.get_context_data(form=form, throttled=throttled, away=away)
        response: HttpResponse = self.render_to_response(context)
        return with_retry_after(response) if throttled else response


def is_throttled(form: Form, field: str = NON_FIELD_ERRORS) -> bool:
    return form.has_error(field, code="too_many_login_attempts")


def render_throttled(request: HttpRequest) -> HttpResponse:
    """handler429: rate limit for requests of one kind, successful or not."""
    return with_retry_after(render(request, "429.html"))


def with_retry_after(response: HttpResponse) -> HttpResponse:
    response.status_code = HTTPStatus.TOO_MANY_REQUESTS
    response["Retry-After"] = str(WAIT_SECONDS)
    return response


login = require_http_methods(["GET", "HEAD", "POST"])(SignInView.as_view())
logout = require_POST(LogoutView.as_view())
