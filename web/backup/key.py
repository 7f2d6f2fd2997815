"""The key that authenticates backups. It is never part of one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from cairn.settings import environment
from cairn.settings.generated_secrets import load_or_create_secret

_SALT: Final = "cairn.backup.signature"
_ID_SALT: Final = "cairn.backup.key-id"
_ID_LENGTH: Final = 16


@dataclass(frozen=True, slots=True, repr=False)
class BackupKey:
    secret: str

    @property
    def id(self) -> str:
        """Identifier of the key that does not reveal it."""
        return salted_hmac(_ID_SALT, "", secret=self.secret, algorithm="sha256").hexdigest()[:_ID_LENGTH]

    def sign(self, content: bytes) -> str:
        return salted_hmac(_SALT, content, secret=self.secret, algorithm="sha256").hexdigest()

    def verify(self, content: bytes, signature: str) -> bool:
        return constant_time_compare(self.sign(content), signature)


def key_file() -> Path:
    return Path(settings.DATA_DIR) / "backup_key"


def existing_key() -> BackupKey | None:
    """Return this installation's key, or None before its first backup."""
    if given := _load_configured_secret():
        return BackupKey(given)
    return BackupKey(load_or_create_secret(key_file())[0]) if key_file().exists() else None


def key_get_or_create() -> tuple[BackupKey, bool]:
    """Return the key, and whether it was created."""
    if given := _load_configured_secret():
        return BackupKey(given), False
    secret, is_new = load_or_create_secret(key_file())
    return BackupKey(secret), is_new


def _load_configured_secret() -> str:
    """Return BACKUP_KEY or SECRET_KEY; a generated SECRET_KEY would be part of the backup."""
    given = environment().backup_key or environment().secret_key
    return given.get_secret_value() if given else ""
