"""Safety checks before Cairn listens on other than local addresses."""

import socket
from ipaddress import ip_address

from cairn.accounts.models import User
from cairn.errors import ConfigurationError
from cairn.settings import Environment
from cairn.settings.generated_secrets import SHORTEST_SECRET, is_guessable


def is_outside(listener: socket.socket) -> bool:
    return not ip_address(listener.getsockname()[0]).is_loopback


def require_safe_settings(environment: Environment) -> None:
    """Raise ConfigurationError for settings that would open the installation to anyone."""
    if environment.cairn_debug:
        raise _refusal("CAIRN_DEBUG is on, and error pages would show the inside of Cairn. Turn it off.")
    secret = environment.secret_key.get_secret_value() if environment.secret_key else None
    if secret is not None and is_guessable(secret):
        raise _refusal(
            f"SECRET_KEY can be guessed: it needs {SHORTEST_SECRET} characters or more, made by chance. "
            "Leave it out, and Cairn makes one."
        )


def require_admin_password(environment: Environment) -> None:
    """Require a configured password, as a generated one could be read in collected output."""
    if environment.cairn_admin_password is None and not User.objects.filter(is_admin=True).exists():
        raise _refusal("there is no admin yet. Set CAIRN_ADMIN_PASSWORD, the first admin's password.")


def _refusal(reason: str) -> ConfigurationError:
    return ConfigurationError(f"Cairn does not serve other machines: {reason}")
