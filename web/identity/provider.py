"""Single sign-on (SSO): OpenID Connect and SAML providers for allauth, with additional checks."""

import base64
import secrets
from collections.abc import Mapping
from typing import Any

import jwt
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from allauth.socialaccount.providers.saml.provider import SAMLProvider
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.response import OneLogin_Saml2_Response

from cairn.accounts.sign_in_failures import sign_in_failure_record
from web.identity.error_pages import render_failure
from web.identity.failure_causes import INVALID, ResponseRefused
from web.identity.provider_requests import names_plain_endpoint

SUBJECT_LENGTH = 191
SKEW_SECONDS = 60
ALGORITHMS = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
REPLAY_SECONDS = 24 * 3600


class _Source:
    """Mixin that stores accounts under the source's full name, to separate kinds of providers, and no
    claims.
    """

    kind: str

    @property
    def sub_id(self) -> str:
        return f"{self.kind}:{self.app.provider_id}"  # type: ignore[attr-defined]

    def extract_extra_data(self, data: object) -> dict[str, Any]:  # noqa: ARG002
        return {}


class OpenIdAdapter(OpenIDConnectOAuth2Adapter):
    """Adapter with the checks of OpenID Connect Core 3.1.3.7 and 5.3.2. `nonce`: the one that was sent."""

    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().openid_config
        server_url = self.get_provider().app.settings["server_url"]
        if str(config.get("issuer", "")).rstrip("/") != server_url:
            raise ResponseRefused("The provider's issuer doesn't match its address.", "sign_in_issuer")
        if names_plain_endpoint(server_url, config):
            raise ResponseRefused("The provider names an endpoint without https.", "sign_in_plain_endpoint")
        return config

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> SocialLogin:
        try:
            claims = self._claims(app, kwargs["response"])
            claims_and_info = {**claims, **self._fetch_user_info(token.token)}
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise OAuth2Error(f"The provider's response isn't valid: {type(error).__name__}") from error
        if claims_and_info["sub"] != claims["sub"] or not 0 < len(claims["sub"]) <= SUBJECT_LENGTH:
            raise OAuth2Error("The provider's response doesn't identify exactly one person.")
        return self.get_provider().sociallogin_from_response(request, claims_and_info)

    def _claims(self, app: Any, response: Mapping[str, Any]) -> dict[str, Any]:
        config, token = self.openid_config, response["id_token"]
        algorithm, key = jwtkit.fetch_key(token, config["jwks_uri"], jwtkit.lookup_kid_jwk)
        if algorithm not in ALGORITHMS:
            raise OAuth2Error("The provider's signature algorithm isn't accepted.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            audience=app.client_id,
            issuer=config["issuer"],
            leeway=SKEW_SECONDS,
            options={"require": REQUIRED},
        )
        if not self.nonce or not constant_time_compare(str(claims["nonce"]), self.nonce):
            raise ResponseRefused("The token isn't for this sign-in.", "sign_in_not_begun")
        if _authorized_party(claims) != app.client_id:
            raise ResponseRefused("The token was issued for another application.", "sign_in_audience")
        return claims


def _authorized_party(claims: Mapping[str, Any]) -> object:
    """Return the client that requested the token, which must be named if there are several audiences."""
    audience = claims["aud"]
    only = audience if isinstance(audience, str) else audience[0] if len(audience) == 1 else None
    return claims.get("azp", only)


class OpenIdProvider(_Source, OpenIDConnectProvider):
    kind = "oidc"
    oauth2_adapter_class = OpenIdAdapter

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **_: Any
    ) -> HttpResponse:
        """Redirect to the provider. No parameter comes from the requested URL."""
        nonce = secrets.token_urlsafe(32)
        params = {**self.get_auth_params(), "nonce": nonce}
        sent: HttpResponse = super().redirect(
            request, process, next_url, data, nonce=nonce, auth_params=params, scope=self.get_scope()
        )
        return sent

    def sociallogin_from_response(self, request: HttpRequest, response: dict[str, Any]) -> SocialLogin:
        login = super().sociallogin_from_response(request, response)
        login.claims = response
        return login


def _names_an_audience(auth: OneLogin_Saml2_Auth) -> bool:
    """Return whether an assertion has an audience. The library accepts assertions without one, which are
    valid everywhere; SAML's profile for web browsers requires one (SAML profiles, 4.1.4.2).
    """
    xml = auth.get_last_response_xml().encode()
    return bool(OneLogin_Saml2_Response(auth.get_settings(), base64.b64encode(xml)).get_audiences())


class SamlProvider(_Source, SAMLProvider):
    kind = "saml"

    def sociallogin_from_response(self, request: HttpRequest, response: Any) -> SocialLogin:
        """Accept each assertion once, and no transient names, which identify nobody."""
        assertion = response.get_last_assertion_id()
        fresh = cache.add(f"saml:{self.app.provider_id}:{assertion}", True, REPLAY_SECONDS)
        subject = self._subject(response)
        lasting = response.get_nameid_format() != TRANSIENT or subject != response.get_nameid()
        named = bool(subject) and len(subject) <= SUBJECT_LENGTH
        if not (assertion and fresh and lasting and named and _names_an_audience(response)):
            sign_in_failure_record(source=self.sub_id, cause=INVALID)
            raise ImmediateHttpResponse(render_failure(request, self.app.name))
        login = super().sociallogin_from_response(request, response)
        login.claims = response.get_attributes()
        return login

    def _subject(self, response: Any) -> str:
        """Return the configured attribute, without falling back to another name, which could be somebody
        else's.
        """
        by_attribute = "uid" in self.app.settings["attribute_mapping"]
        found = self._extract(response).get("uid") if by_attribute else response.get_nameid()
        return str(found or "")


provider_classes = [OpenIdProvider, SamlProvider]
