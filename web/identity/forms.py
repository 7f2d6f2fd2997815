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

from cairn.audit.services import record
from web.identity.passkeys import count_use, has_own_origin

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
    def clean_credential(self) -> Any:
        _require_own_origin(self.cleaned_data["credential"])
        return self.cleaned_data["credential"]

    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean()
        except MALFORMED as error:
            raise get_adapter().validation_error("incorrect_code") from error
        return cleaned


class _PasskeyGiven:
    cleaned_data: dict[str, Any]

    def clean_credential(self) -> Authenticator:
        credential = self.cleaned_data["credential"]
        _require_own_origin(credential)
        try:
            passkey: Authenticator = super().clean_credential()  # type: ignore[misc]
            first_of_its_count = count_use(passkey, credential)
        except MALFORMED as error:
            raise get_adapter().validation_error("incorrect_code") from error
        if not first_of_its_count:
            record("second_factor.failed", actor=None, subject=f"user:{passkey.user_id}", kind="webauthn")
            raise get_adapter().validation_error("incorrect_code")
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
