"""Marker of an interrupted restore, which leaves an incomplete installation."""

from pathlib import Path

from django.conf import settings

from cairn.errors import ConfigurationError


def unfinished_file() -> Path:
    return Path(settings.DATA_DIR) / "restore_unfinished"


def require_finished() -> None:
    """Raise ConfigurationError if a restore was interrupted."""
    if unfinished_file().exists():
        raise ConfigurationError(
            f"A restore into {settings.DATA_DIR} did not finish. Run it again: manage.py restore --force."
        )
