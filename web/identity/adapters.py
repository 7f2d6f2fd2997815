"""Where Cairn differs from allauth: nobody signs up, and nothing leads away from here."""

import base64
import hashlib
from http import HTTPStatus
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.totp.internal.auth import generate_totp_secret
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.encoding import force_bytes
from django.utils.http import url_has_allowed_host_and_scheme

from cairn.errors import Unavailable

SILENT = "account/messages/"


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """For forms. A directory that is away is no wrong password."""
        try:
            user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        except Unavailable as error:
            raise ValidationError(error.message, code=error.code) from error
        return user

    def is_safe_url(self, url: str | None) -> bool:
        """This very host: others of ALLOWED_HOSTS may be other programs."""
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={self.request.get_host()}, require_https=self.request.is_secure()
        )

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:  # noqa: ARG002
        return refused(request, "This account is disabled. An administrator can open it again.")

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Not that somebody signed in or out: the page says so itself."""
        if not (message_template or "").startswith(SILENT):
            super().add_message(request, level, message_template, *args, **kwargs)


class SecondFactorAdapter(DefaultMFAAdapter):
    """Secrets of second factors lie in the database encrypted: a copy of it makes no codes."""

    def encrypt(self, text: str) -> str:
        return _fernet().encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted_text: str) -> str:
        """A secret that nobody knows where SECRET_KEY is another one by now: no code fits it."""
        try:
            return _fernet().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            return str(generate_totp_secret())


def _fernet() -> MultiFernet:
    return MultiFernet([_fernet_of(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _fernet_of(key: str | bytes) -> Fernet:
    digest = hashlib.sha256(b"cairn.second_factor:" + force_bytes(key)).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def refused(request: HttpRequest, reason: str) -> HttpResponse:
    """A page that says why somebody is not let in."""
    return render(request, "pages/refused.html", {"reason": reason}, status=HTTPStatus.FORBIDDEN)
