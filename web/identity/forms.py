"""Sign-in forms. Passkey data is untrusted: the library raises many kinds of exceptions for it."""

import struct
from typing import Any

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.forms import LoginForm
from allauth.core import context
from allauth.core.internal.ratelimit import RateLimitUsage
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from cairn.accounts.models import User
from cairn.audit.services import record
from web.identity.passkeys import count_use, has_own_origin
from web.identity.sign_in_throttling import factor_begin

MALFORMED = (
    AttributeError,
    InvalidSignature,
    LookupError,
    NotImplementedError,
    TypeError,
    UnsupportedAlgorithm,
    ValueError,
    struct.error,
)


class SignInForm(LoginForm):
    def add_prefix(self, field_name: str) -> str:
        """Use field names known to browsers and scripts."""
        return "username" if field_name == "login" else str(super().add_prefix(field_name))


class _LimitedAttempts:
    """Replacement for allauth's limit per user, which lets people who know the password lock out the user.
    After a right code, allauth also resets the count of the address.
    """

    user: User | None

    def _begin(self) -> RateLimitUsage:
        assert self.user is not None  # whose password was right, or who is signed in
        usage = factor_begin(context.request, self.user)
        if usage is None:
            raise get_account_adapter().validation_error("too_many_login_attempts")
        return usage


class _CodeGiven(_LimitedAttempts):
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        usage = self._begin()
        code: str = super().clean_code()  # type: ignore[misc]
        usage.rollback()
        return code


class CodeStepForm(_CodeGiven, AuthenticateForm):
    pass


class CodeConfirmForm(_CodeGiven, ReauthenticateForm):
    pass


class PasskeyAddForm(AddWebAuthnForm):
    def clean_credential(self) -> Any:
        _require_own_origin(self.cleaned_data["credential"])
        return self.cleaned_data["credential"]

    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean()
        except MALFORMED as error:
            raise get_adapter().validation_error("incorrect_code") from error
        return cleaned


class _PasskeyGiven(_LimitedAttempts):
    cleaned_data: dict[str, Any]

    def clean_credential(self) -> Authenticator:
        credential = self.cleaned_data["credential"]
        usage = self._begin() if self.user else None  # without a user there is nobody to lock out
        _require_own_origin(credential)
        try:
            passkey: Authenticator = super().clean_credential()  # type: ignore[misc]
            first_of_its_count = count_use(passkey, credential)
        except MALFORMED as error:
            raise get_adapter().validation_error("incorrect_code") from error
        if not first_of_its_count:
            record("second_factor.failed", actor=None, subject=f"user:{passkey.user_id}", kind="webauthn")
            raise get_adapter().validation_error("incorrect_code")
        if usage:
            usage.rollback()
        return passkey


def _require_own_origin(credential: Any) -> None:
    try:
        own = has_own_origin(credential)
    except MALFORMED:
        own = False
    if not own:
        raise get_adapter().validation_error("incorrect_code")


class PasskeyStepForm(_PasskeyGiven, AuthenticateWebAuthnForm):
    pass


class PasskeySignInForm(_PasskeyGiven, LoginWebAuthnForm):
    pass


class PasskeyConfirmForm(_PasskeyGiven, ReauthenticateWebAuthnForm):
    pass
