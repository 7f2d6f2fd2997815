"""Access tokens of programs, as OAuth 2 gives them for a secret or for a signed statement."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import BaseModel, ValidationError

from cairn.messages import CodedMessage
from ingestion.sources.json_api import find_reason, wait_while_busy
from ingestion.sources.protocol import SourceRefused
from ingestion.sources.web_server import WebServer

_EARLY_SECONDS: Final = 300
"""A token is replaced so long before it expires, but used for at least half of its time."""


class _Token(BaseModel):
    access_token: str
    expires_in: int = 3600


class AccessToken:
    """A token that is fetched when it is first needed, and replaced before it expires.

    `build_request` returns the fields of the form that asks for it.
    """

    def __init__(self, server: WebServer, path: str, build_request: Callable[[], Mapping[str, str]]) -> None:
        self._server, self._path, self._build_request = server, path, build_request
        self._token, self._until = "", 0.0

    def headers(self) -> dict[str, str]:
        """Return the header that authorizes a request. Raises SourceUnavailable or SourceRefused."""
        if not self._token or time.monotonic() >= self._until:
            token = wait_while_busy(self._fetch)
            self._token = token.access_token
            self._until = time.monotonic() + max(token.expires_in - _EARLY_SECONDS, token.expires_in / 2)
        return {"Authorization": f"Bearer {self._token}"}

    def _fetch(self) -> _Token:
        answer = self._server.post_form(self._path, self._build_request())
        if answer.status != 200:
            reason = find_reason(answer.content) or f"HTTP {answer.status}"
            message = CodedMessage("source_token_refused", server=self._server.name, reason=reason[:300])
            raise SourceRefused(message)
        try:
            return _Token.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._server.invalid(error.errors()[0]["msg"]) from error
