"""Encryption of secrets in the database, so that a copy of the database is useless without SECRET_KEY."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.encoding import force_bytes


def encrypt(text: str, *, purpose: str) -> str:
    """`purpose` separates keys: what was encrypted for one purpose can't be read for another."""
    return _fernet(purpose).encrypt(text.encode()).decode("ascii")


def decrypt(encrypted: str, *, purpose: str) -> str | None:
    """Return None for what was encrypted under another SECRET_KEY, or damaged."""
    try:
        return _fernet(purpose).decrypt(encrypted.encode()).decode()
    except InvalidToken:
        return None


def _fernet(purpose: str) -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([_fernet_of(key, purpose) for key in keys])


def _fernet_of(key: str | bytes, purpose: str) -> Fernet:
    digest = hashlib.sha256(f"cairn.{purpose}:".encode() + force_bytes(key)).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
