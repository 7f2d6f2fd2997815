"""The form of the sign-in page."""

from typing import Any

from allauth.account.forms import LoginForm
from django.core.exceptions import ValidationError

from cairn.errors import Unavailable


class SignInForm(LoginForm):
    def add_prefix(self, field_name: str) -> str:
        """The field is sent under the name that browsers and scripts know."""
        return "username" if field_name == "login" else str(super().add_prefix(field_name))

    def clean(self) -> dict[str, Any]:
        """A directory that is away is no wrong password."""
        try:
            cleaned: dict[str, Any] = super().clean()
        except Unavailable as error:
            raise ValidationError(error.message, code=error.code) from error
        return cleaned
