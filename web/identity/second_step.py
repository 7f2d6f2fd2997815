"""Second step of the sign-in, which is bound to the account as it was when the password was entered."""

from typing import Any, Final

from allauth.account.stages import LoginStage
from allauth.mfa.stages import AuthenticateStage
from django.utils.crypto import constant_time_compare

_STATE: Final = "session_auth_hash"


class SecondStepStage(AuthenticateStage):
    """Stage that ends when sessions of the account would end: its password changes, an admin ends its
    sessions, or it's disabled."""

    def handle(self) -> tuple[Any, bool]:
        response, proceeds = super().handle()
        if response is not None:
            self.state[_STATE] = self.login.user.get_session_auth_hash()
        return response, proceeds


def is_outdated(stage: LoginStage) -> bool:
    """Return whether the account has changed since the password was entered."""
    user = stage.login.user
    began_with = str(stage.state.get(_STATE, ""))
    return not user.is_active or not constant_time_compare(began_with, user.get_session_auth_hash())
