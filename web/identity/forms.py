"""The form of the sign-in page."""

from allauth.account.forms import LoginForm


class SignInForm(LoginForm):
    def add_prefix(self, field_name: str) -> str:
        """The field is sent under the name that browsers and scripts know."""
        return "username" if field_name == "login" else str(super().add_prefix(field_name))
