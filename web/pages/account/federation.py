"""Sign-in with external identity providers by OpenID Connect and SAML."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.saml import views as saml
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from lxml.etree import LxmlError
from onelogin.saml2.errors import OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError
from requests import RequestException

from cairn.accounts.sign_in_failures import sign_in_failure_record
from cairn.errors import PayloadTooLarge
from cairn.settings.identity import SamlProvider
from web.identity.configured_providers import identity_providers
from web.identity.error_pages import render_failure
from web.identity.failure_causes import INVALID, explain_exception
from web.identity.provider import OpenIdAdapter
from web.pages.account.sign_in import render_throttled

log = logging.getLogger(__name__)
UNREADABLE = (KeyError, LxmlError, OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError, ValueError)
"""Exceptions of the library for invalid responses."""
Opened = Callable[..., HttpResponse]
RESPONSE_BYTES = 256 << 10
"""Of a SAML response: it is kept until the browser comes back for it, whoever sent it."""


def _limit_rate(view: Opened) -> Opened:
    """Rate-limit the view: each call creates a session or a request to the provider."""

    @never_cache
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        allowed = ratelimit.consume(request, app="allauth.account", action="federated", limit_get=True)
        return view(request, *args, **kwargs) if allowed else render_throttled(request)

    return wrapper


class _Callback(OAuth2CallbackView):
    def _get_state(self, request: HttpRequest, provider: Any) -> tuple[Any, Any]:
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = (state or {}).get("nonce", "")
        return state, response


@require_safe
@_limit_rate
def oidc_login(request: HttpRequest, provider_id: str) -> HttpResponse:
    return _oidc(OAuth2LoginView, request, provider_id)


@require_safe
@_limit_rate
def oidc_callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    return _oidc(_Callback, request, provider_id)


def _oidc(kind: Any, request: HttpRequest, provider_id: str) -> HttpResponse:
    found = next((each for each in identity_providers().oidc if each.id == provider_id), None)
    if found is None:
        raise Http404
    try:
        response: HttpResponse = kind.adapter_view(OpenIdAdapter(request, provider_id))(request)
    except (OAuth2Error, RequestException, KeyError) as error:
        log.warning("signing in with %s failed: %s: %s", found.source, type(error).__name__, error)
        sign_in_failure_record(source=found.source, cause=explain_exception(error))
        return render_failure(request, found.name)
    return response


def _saml(request: HttpRequest, organization_slug: str) -> SamlProvider:
    request.META.setdefault("HTTP_HOST", request.get_host())  # the library relies on it
    found = next((each for each in identity_providers().saml if each.id == organization_slug), None)
    if found is None:
        raise Http404
    return found


@require_safe
@_limit_rate
def saml_login(request: HttpRequest, organization_slug: str) -> HttpResponse:
    _saml(request, organization_slug)
    return saml.login(request, organization_slug=organization_slug)  # type: ignore[no-any-return]


@csrf_exempt
@require_POST
@_limit_rate
def saml_acs(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """Receive the provider's cross-origin POST. Nothing in it is trusted before validation."""
    _saml(request, organization_slug)
    if len(request.POST.urlencode()) > RESPONSE_BYTES:
        return HttpResponse(PayloadTooLarge.title, status=PayloadTooLarge.status, content_type="text/plain")
    response: HttpResponse = saml.acs(request, organization_slug=organization_slug)
    for cookie in response.cookies.values():
        cookie["httponly"] = True
    return response


@require_safe
@_limit_rate
def saml_finish(request: HttpRequest, organization_slug: str) -> HttpResponse:
    found = _saml(request, organization_slug)
    try:
        return saml.finish_acs(request, organization_slug=organization_slug)  # type: ignore[no-any-return]
    except ImmediateHttpResponse as answer:
        return answer.response  # type: ignore[no-any-return]
    except UNREADABLE:
        sign_in_failure_record(source=found.source, cause=INVALID)
        return render_failure(request, found.name)


@require_safe
@_limit_rate
def saml_logout(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """Sign out on a signed request by the provider; without such a service, nothing does."""
    if not _saml(request, organization_slug).slo_url or "Signature" not in request.GET:
        raise Http404
    return saml.sls(request, organization_slug=organization_slug)  # type: ignore[no-any-return]


@require_safe
@_limit_rate
def saml_metadata(request: HttpRequest, organization_slug: str) -> HttpResponse:
    _saml(request, organization_slug)
    return saml.metadata(request, organization_slug=organization_slug)  # type: ignore[no-any-return]
