"""Connections to Google Drive, to the directory and to the sign-in, each only to its own host."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import jwt
from pydantic import BaseModel, ValidationError

from cairn.messages import CodedMessage
from ingestion.sources.access_tokens import AccessToken
from ingestion.sources.json_api import JsonApi
from ingestion.sources.kinds.google_drive.options import GoogleDriveOptions
from ingestion.sources.kinds.google_drive.source import GoogleDriveSource
from ingestion.sources.protocol import SourceRefused
from ingestion.sources.web_server import Answer, open_web_server

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME_SECONDS: Final = 1800
SCOPES: Final = (
    "https://www.googleapis.com/auth/drive.readonly",
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
)
WAIT_SECONDS: Final = 20
"""Google doesn't say how long to wait after too many requests in a minute."""
_WAIT_FOR_QUOTA_SECONDS: Final = 3600
_TOO_FAST: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
_NO_QUOTA: Final = frozenset({"dailyLimitExceeded", "quotaExceeded"})


class _Key(BaseModel):
    client_email: str
    private_key: str
    private_key_id: str = ""


class _Details(BaseModel):
    errors: list[dict[str, Any]] = []


class _Refusal(BaseModel):
    error: _Details


@contextmanager
def connect(options: GoogleDriveOptions) -> Iterator[GoogleDriveSource]:
    """Open connections as they are needed."""
    with (
        open_web_server(options.login_url) as login,
        open_web_server(options.url) as drive,
        open_web_server(options.directory_url) as directory,
    ):
        for server in (login, drive, directory):
            server.require_encryption()
        token = AccessToken(login, "token", lambda: build_token_request(options))
        yield GoogleDriveSource(
            options,
            JsonApi(drive, token.headers, find_busy),
            JsonApi(directory, token.headers, find_busy),
        )


def build_token_request(options: GoogleDriveOptions) -> dict[str, str]:
    """Return the fields of a form that asks for a token. Raises SourceRefused for an unusable key."""
    now = int(time.time())
    try:
        key = _Key.model_validate_json(options.key.get_secret_value())
        claims = {
            "iss": key.client_email,
            "sub": options.account,
            "scope": " ".join(SCOPES),
            "aud": f"{options.login_url}token",
            "iat": now - 10,
            "exp": now + _LIFETIME_SECONDS,
        }
        headers = {"kid": key.private_key_id} if key.private_key_id else {}
        statement = jwt.encode(claims, key.private_key, algorithm="RS256", headers=headers)
    except (ValidationError, ValueError, TypeError, jwt.PyJWTError) as error:
        raise SourceRefused(CodedMessage("google_key_invalid")) from error
    return {"grant_type": _GRANT, "assertion": statement}


def find_busy(answer: Answer) -> int | None:
    """Return how long to wait if a refusal is about the number of requests, otherwise None."""
    try:
        errors = _Refusal.model_validate_json(answer.content).error.errors
    except ValidationError:
        return None
    reasons = {str(error.get("reason", "")) for error in errors}
    if reasons & _TOO_FAST:
        return WAIT_SECONDS
    return _WAIT_FOR_QUOTA_SECONDS if reasons & _NO_QUOTA else None
