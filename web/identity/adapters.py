"""Adapters for allauth: no self-registration, and no redirects to other hosts."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext

from cairn.accounts.models import User
from cairn.accounts.sign_in_failures import sign_in_failure_record
from cairn.errors import Unavailable
from cairn.http.proxy_headers import parse_address
from cairn.messages import CodedMessage
from cairn.settings.identity import IdentityProvider, allauth_settings
from cairn.settings.stored.encryption import decrypt, encrypt
from web.i18n.localize import localize
from web.identity.configured_providers import identity_providers, provider_from
from web.identity.error_pages import render_failure, render_refusal
from web.identity.failure_causes import find_cause
from web.identity.jit_users import (
    find_scim_user,
    groups_in,
    may_enter,
    profile_complete,
    rights_set,
    user_arrived,
)
from web.identity.known_devices import remember_device
from web.identity.provider_requests import ProviderSession
from web.identity.second_step import SecondStepStage
from web.identity.sign_in_throttling import attempt_begin, remember_address

log = logging.getLogger(__name__)
SILENT = "account/messages/"
PURPOSE = "second_factor"
MAX_LOGGED = 500
"""Characters of a reason, which may repeat a whole response."""


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address, with IPv4-mapped addresses as IPv4: all `::ffff:192.0.2.7` would be in one
        network.
        """
        address = parse_address(super().get_client_ip(request))
        if address is None:
            raise PermissionDenied
        return str(address)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Replace allauth's limit per user name, which lets anybody lock out others."""
        self._login_failed_rl_usage = attempt_begin(request, str(credentials.get("username", "")))
        if self._login_failed_rl_usage is None:
            raise self.validation_error("too_many_login_attempts")

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **kwargs)
        remember_device(request, response, user.get_username())
        remember_address(request, user.get_username())
        return response

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Authenticate in forms. An unavailable directory is reported as such, not as a wrong password."""
        try:
            user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        except Unavailable as error:
            raise ValidationError(localize(error.message), code=error.code) from error
        return user

    def get_login_stages(self) -> list[str]:
        """Return allauth's stages, with Cairn's own second step."""
        own = f"{SecondStepStage.__module__}.{SecondStepStage.__qualname__}"
        theirs = f"{AuthenticateStage.__module__}.{AuthenticateStage.__qualname__}"
        return [own if path == theirs else path for path in super().get_login_stages()]

    def is_safe_url(self, url: str | None) -> bool:
        """Allow only this host: others in ALLOWED_HOSTS may be other programs."""
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={self.request.get_host()}, require_https=self.request.is_secure()
        )

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:  # noqa: ARG002
        return render_refusal(
            request, gettext("This account is disabled. Ask an administrator to enable it.")
        )

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Drop messages about signing in and out, which pages show themselves."""
        if not (message_template or "").startswith(SILENT):
            super().add_message(request, level, message_template, *args, **kwargs)


class SocialAdapter(DefaultSocialAccountAdapter):
    """Adapter that identifies people by provider and subject only."""

    def list_apps(
        self,
        request: HttpRequest,  # noqa: ARG002
        provider: str | None = None,
        client_id: str | None = None,
    ) -> list[SocialApp]:
        """Return providers from the settings, never from allauth's table."""
        settings = allauth_settings(identity_providers())
        apps = [SocialApp(provider=kind, **app) for kind in settings for app in settings[kind]["APPS"]]
        return [
            app
            for app in apps
            if (not client_id or app.client_id == client_id)
            and (not provider or provider in (app.provider_id, app.provider))
        ]

    def get_requests_session(self) -> ProviderSession:
        """Return the session for requests to the provider of the current address: discovery, token, keys and
        userinfo. The server of another one may be in the own network, where this one may send nothing."""
        match = context.request.resolver_match
        provider_id = match.kwargs.get("provider_id") if match else None
        servers = [each.server_url for each in identity_providers().oidc if each.id == provider_id]
        return ProviderSession(servers, from_console=not settings.IDENTITY_PROVIDERS.all)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002
        return True

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002
        return True

    def can_authenticate_by_email(self, login: SocialLogin, email: str) -> bool:  # noqa: ARG002
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        provider = _provider_of(sociallogin)
        groups = groups_in(provider, sociallogin.claims)
        if not may_enter(provider, groups):
            message = CodedMessage("not_in_group", name=provider.name)
            sign_in_failure_record(source=provider.source, cause=CodedMessage("sign_in_group"))
            raise ImmediateHttpResponse(render_refusal(request, message))
        sociallogin.state["process"] = "login"
        sociallogin.email_addresses = []
        if not sociallogin.is_existing and (user := find_scim_user(provider, sociallogin.claims)):
            _join(sociallogin, user)
        if sociallogin.is_existing and not sociallogin.user.is_active:
            sign_in_failure_record(source=provider.source, cause=CodedMessage("sign_in_disabled"))
        elif sociallogin.is_existing:
            rights_set(sociallogin.user, provider, groups)
            profile_complete(sociallogin.user, provider, sociallogin.claims)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:  # noqa: ARG002
        provider = _provider_of(sociallogin)
        with transaction.atomic():
            user = user_arrived(provider, sociallogin.claims)
            _join(sociallogin, user)
            rights_set(user, provider, groups_in(provider, sociallogin.claims))
        return user

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        context = extra_context or {}
        sign_in_failure_record(source=provider.sub_id, cause=find_cause(exception or error, context))
        reason = context.get("saml_last_error_reason") or exception or error
        log.warning("signing in with %s failed: %s", provider.sub_id, str(reason)[:MAX_LOGGED])
        raise ImmediateHttpResponse(render_failure(request, provider.name))


def _provider_of(sociallogin: SocialLogin) -> IdentityProvider:
    found = provider_from(sociallogin.account.provider)
    assert found is not None  # allauth found it in the same configuration
    return found


def _join(sociallogin: SocialLogin, user: User) -> None:
    sociallogin.user = sociallogin.account.user = user
    sociallogin.account.save()


class SecondFactorAdapter(DefaultMFAAdapter):
    """Adapter that stores secrets of second factors encrypted, so that a copy of the database is useless."""

    def encrypt(self, text: str) -> str:
        return encrypt(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt a secret. After a change of SECRET_KEY the result matches no code."""
        return decrypt(encrypted_text, purpose=PURPOSE) or str(generate_totp_secret())
