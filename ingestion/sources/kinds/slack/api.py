"""Slack's Web API, as far as it reads."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from cairn.messages import CodedMessage
from ingestion.sources.json_api import JsonApi, RequestRefused, wait_while_busy
from ingestion.sources.kinds.slack.answers import (
    Channel,
    Channels,
    Identity,
    Members,
    Message,
    Messages,
    Outcome,
    Page,
    User,
    Users,
)
from ingestion.sources.protocol import SourceRefused, SourceUnavailable
from ingestion.sources.web_server import Answer

PAGE_LENGTH: Final = "200"
SCOPES: Final = frozenset(
    ("channels:history", "channels:read", "groups:history", "groups:read", "users:read", "users:read.email")
)
_WAIT_SECONDS: Final = 30
_INVALID: Final = frozenset(("invalid_auth", "not_authed", "not_allowed_token_type"))
_REVOKED: Final = frozenset(("token_revoked", "token_expired", "account_inactive"))
_TRANSIENT: Final = frozenset(("internal_error", "fatal_error", "service_unavailable", "request_timeout"))
_CHANNEL_REFUSED: Final = frozenset(("not_in_channel", "channel_not_found"))

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", bound=Page)


class SlackRefused(SourceRefused):
    """Slack refuses a single request, such as about a channel that the app isn't in."""


class ChannelRefused(SlackRefused):
    """A channel is gone, or the app isn't in it."""


class SlackApi(JsonApi):
    """Slack answers refusals with HTTP 200 and a word for the reason."""

    def read(self, path: str, kind: type[M], **params: str) -> M:
        """Read an object. Raises SlackRefused if only this request is refused."""
        return wait_while_busy(lambda: self._read_object(path, kind, params))

    def read_identity(self) -> Identity:
        return self.read("auth.test", Identity)

    def require_scopes(self) -> None:
        """Raise SourceRefused if the token lacks scopes. Slack lists them in a header."""
        with self.server.stream("GET", "auth.test") as response:
            listed = response.headers.get("X-OAuth-Scopes", "")
        scopes = frozenset(filter(None, map(str.strip, listed.split(","))))
        if scopes and not scopes >= SCOPES:
            raise SourceRefused(
                CodedMessage("slack_scopes_missing", scopes=", ".join(sorted(SCOPES - scopes)))
            )

    def list_channels(self) -> list[Channel]:
        """Return the public and private channels that the app is in, never conversations of persons."""
        pages = self._list("users.conversations", Channels, types="public_channel,private_channel")
        return [each for page in pages for each in page.channels if not each.is_im and not each.is_mpim]

    def list_users(self) -> list[User]:
        return [user for page in self._list("users.list", Users) for user in page.members]

    def list_members(self, channel: str) -> list[str]:
        pages = self._list("conversations.members", Members, channel=channel)
        return [member for page in pages for member in page.members]

    def list_history(self, channel: str, **bounds: str) -> Iterator[Message]:
        """Yield messages outside of threads and the first of each thread, newest first. Raises
        SourceUnavailable if they come in another order, which depends on the bounds."""
        last = ""
        for message in self._list_messages("conversations.history", channel=channel, **bounds):
            if last and float(message.ts) > float(last):
                raise self.server.invalid("ts")
            last = message.ts
            yield message

    def list_thread(self, channel: str, ts: str) -> Iterator[Message]:
        """Yield the message that begins a thread, and its replies."""
        return self._list_messages("conversations.replies", channel=channel, ts=ts)

    def _list_messages(self, method: str, **params: str) -> Iterator[Message]:
        for page in self._list(method, Messages, **params):
            yield from page.messages
            if page.has_more and not page.metadata.cursor:
                raise self.server.invalid("next_cursor")

    def _list(self, method: str, kind: type[P], **params: str) -> Iterator[P]:
        return self.list_tokens(
            method, kind, lambda page: page.metadata.cursor, "cursor", limit=PAGE_LENGTH, **params
        )

    def _read_object(self, method: str, kind: type[M], params: Mapping[str, str]) -> M:
        answer = self.server.get(method, params)
        if answer.status >= 400:
            raise RequestRefused(self.server.name, method, answer.status)
        answer = Answer(answer.status, self._clean(answer.content))
        outcome = self.parse(answer, Outcome)
        if not outcome.ok:
            raise self._find_error(method, outcome)
        return self.parse(answer, kind)

    def _clean(self, content: bytes) -> bytes:
        """Return JSON without lone surrogates: one message with such must not hide the others."""
        try:
            found: Any = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self.server.invalid(str(error)) from error
        return json.dumps(found, ensure_ascii=False).encode(errors="replace")

    def _find_error(self, method: str, outcome: Outcome) -> SourceUnavailable | SourceRefused:
        error = outcome.error[:100]
        if error == "ratelimited":
            busy = CodedMessage("source_busy", server=self.server.name, status=429)
            return SourceUnavailable(busy, retry_after=_WAIT_SECONDS)
        if error in _TRANSIENT:
            return self.server.invalid(error)
        if error in _INVALID:
            return SourceRefused(CodedMessage("slack_token_invalid", error=error))
        if error in _REVOKED:
            return SourceRefused(CodedMessage("slack_token_revoked", error=error))
        if error == "missing_scope":
            return SourceRefused(CodedMessage("slack_scopes_missing", scopes=outcome.needed[:200] or "?"))
        if error in _CHANNEL_REFUSED:
            return ChannelRefused(CodedMessage("slack_channel_refused", error=error))
        return SlackRefused(CodedMessage("slack_refused", method=method, error=error or "-"))
