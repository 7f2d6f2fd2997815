"""The first admin of a new installation."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.errors import ConfigurationError, InvalidInput
from cairn.settings import environment
from cairn.settings.generated_secrets import load_or_create_secret

FIRST_ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """The created account. `password` is None if it came from the environment."""

    username: str
    password: str | None


def password_file() -> Path:
    return Path(settings.DATA_DIR) / "admin_password"


def shorten_path(path: Path) -> Path:
    """Return the path relative to the working directory, if below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def introduction(admin: FirstAdmin, *, on_terminal: bool) -> str:
    """Introduce the account. The password is only shown on terminals: other output may be collected in
    logs.
    """
    if admin.password is None:
        return f"First admin: {admin.username}, with the password from CAIRN_ADMIN_PASSWORD"
    where = shorten_path(password_file())
    if on_terminal:
        return f"First admin: {admin.username}, password {admin.password}  (also in {where})"
    return f"First admin: {admin.username}. The password is in {where}"


def first_admin_create() -> FirstAdmin | None:
    """Create the first admin. Returns None if there is an admin already."""
    if User.objects.filter(is_admin=True).exists():
        return None
    given = environment().cairn_admin_password
    if given is not None:
        _create(given.get_secret_value())
        return FirstAdmin(FIRST_ADMIN, None)
    password, _ = load_or_create_secret(password_file(), make=secrets.token_urlsafe(15))
    _create(password)
    return FirstAdmin(FIRST_ADMIN, password)


def _create(password: str) -> None:
    try:
        user_create(username=FIRST_ADMIN, password=password, is_admin=True)
    except InvalidInput as error:
        raise ConfigurationError(f"CAIRN_ADMIN_PASSWORD does not serve: {error.message}") from error
