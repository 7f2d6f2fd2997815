"""Forms of signing in. What claims to be a passkey is hostile: the library raises many things over it."""

import struct
from typing import Any

from allauth.account.forms import LoginForm
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

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
        """The field is sent under the name that browsers and scripts know."""
        return "username" if field_name == "login" else str(super().add_prefix(field_name))


class PasskeyAddForm(AddWebAuthnForm):
    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean()
        except MALFORMED as error:
            raise get_adapter().validation_error("incorrect_code") from error
        return cleaned


class _PasskeyGiven:
    def clean_credential(self) -> Authenticator:
        try:
            return super().clean_credential()  # type: ignore[misc]
        except MALFORMED as error:
            raise get_adapter().validation_error("incorrect_code") from error


class PasskeyStepForm(_PasskeyGiven, AuthenticateWebAuthnForm):
    pass


class PasskeySignInForm(_PasskeyGiven, LoginWebAuthnForm):
    pass


class PasskeyConfirmForm(_PasskeyGiven, ReauthenticateWebAuthnForm):
    pass
