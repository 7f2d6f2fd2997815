"""Secrets that an embedded installation generates in DATA_DIR, and the strength of configured ones."""

import os
import secrets
from pathlib import Path
from typing import Final

SHORTEST_SECRET: Final = 32
FEWEST_CHARACTERS: Final = 8  # different ones
PLACEHOLDERS: Final = ("change", "django-insecure", "example", "password", "replace", "secret")


def is_guessable(secret: str) -> bool:
    short = len(secret) < SHORTEST_SECRET or len(set(secret)) < FEWEST_CHARACTERS
    return short or secret.lower().startswith(PLACEHOLDERS)


def load_or_create_secret(path: Path, *, make: str | None = None) -> tuple[str, bool]:
    """The secret at `path` and whether it was made just now; made once, even by racing processes."""
    try:
        return path.read_text(encoding="ascii").strip(), False
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    value = make or secrets.token_urlsafe(48)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(value)
    try:
        os.link(draft, path)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip(), False
    finally:
        draft.unlink()
    return value, True
