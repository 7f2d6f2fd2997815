"""Threads and days of a Slack workspace, and who may read them."""

import hashlib
import io
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import groupby
from typing import BinaryIO, Final

from cairn.access.source_access import AccessEntry, SourceAccess, SourceGroup, SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources import daily_listing
from ingestion.sources.check_steps import (
    StepWarning,
    find_first,
    read_items,
    require_known_access,
    require_people,
    run_steps,
)
from ingestion.sources.daily_listing import list_since
from ingestion.sources.kinds.slack.answers import Channel, Identity, Message, find_moment
from ingestion.sources.kinds.slack.api import ChannelRefused, SlackApi, SlackRefused
from ingestion.sources.kinds.slack.options import SlackOptions
from ingestion.sources.kinds.slack.texts import Names, summarize, write_messages
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Gone,
    Item,
    ItemUnavailable,
    Progress,
    SourceRefused,
    Unlisted,
)
from ingestion.sources.web_server import WebServer, open_web_server

_AGAIN: Final = timedelta(days=3)
"""Messages of so many days are read again by each sync: Slack doesn't list edits and deletions."""
_DAY: Final = timedelta(days=1)
_THREAD, _ALONE = "thread", "day"


@contextmanager
def connect(options: SlackOptions) -> Iterator["SlackSource"]:
    """Open connections to Slack as they are needed."""
    headers = {"Authorization": f"Bearer {options.token.get_secret_value()}"}
    with open_web_server(f"{options.url}api/", headers=headers) as server:
        server.require_encryption()
        yield SlackSource(options, server)


class SlackSource:
    """Ids of items are "thread:CHANNEL:TIME" and "day:CHANNEL:DATE", for a thread and for the messages of a
    day that are in no thread. Days are those of UTC."""

    def __init__(self, options: SlackOptions, server: WebServer) -> None:
        self._options, self._server, self._api = options, server, SlackApi(server)

    def check(self) -> Iterator[CheckStep]:
        """Test the sign-in, the scopes, the listing, the first document, its permissions, and the people."""
        first: list[Item] = []
        yield from run_steps(
            ("source_step_sign_in", self._sign_in),
            ("slack_step_scopes", self._api.require_scopes),
            ("source_step_list", lambda: first.extend(self._find_first())),
            ("source_step_read", lambda: read_items(self, first)),
            ("source_step_access", lambda: self._require_access(first)),
        )

    def list_changes(self, cursor: str) -> Iterator[Change]:
        """Yield everything once a day, otherwise the last days."""
        return list_since(
            cursor,
            list_all=self._list_all,
            list_changed=self._list_changed,
            require_account=self._api.read_identity,
        )

    @contextmanager
    def open(self, item: Item) -> Iterator[BinaryIO]:
        """Open a thread or the messages of a day as HTML."""
        kind, channel, key = item.id.split(":", 2)
        try:
            found = self._api.list_thread(channel, key) if kind == _THREAD else self._list_day(channel, key)
            messages = [message for message in found if message.is_taken]
        except SlackRefused as error:
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name)) from error
        if not messages:
            raise ItemUnavailable(CodedMessage("source_item_gone", name=item.name))
        heading = f"#{item.container}, {messages[0].moment:%Y-%m-%d}"
        yield io.BytesIO(write_messages(heading, messages, self._names).encode(errors="replace"))

    def list_access(self, items: Collection[Item]) -> Iterator[tuple[str, SourceAccess]]:
        """Yield the access of each item, which is that of its channel."""
        channels = {channel.id: channel for channel in self._find_channels()}
        for item in items:
            channel = channels.get(item.id.split(":")[1])
            if channel is not None:
                yield item.id, self._find_access(channel)

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield the people of the workspace, those of them who aren't guests as a group, and the members of
        each channel."""
        team = self._identity.team_id
        people = {user.id: user for user in self._api.list_users() if user.is_person_of(team)}
        full = tuple(_person_id(user.id) for user in people.values() if not user.is_guest)
        yield SourceGroup(_team_id(team), self._identity.team or team, full)
        for channel in self._find_channels():
            members = [_person_id(member) for member in self._list_members(channel) if member in people]
            yield SourceGroup(_channel_id(channel), f"#{channel.name}", tuple(dict.fromkeys(members)))
        for user in people.values():
            yield SourcePerson(_person_id(user.id), user.name, user.profile.email)

    def _list_members(self, channel: Channel) -> list[str]:
        """Return the members of a channel; none if it is gone meanwhile."""
        try:
            return self._api.list_members(channel.id)
        except ChannelRefused:
            return []

    def _find_access(self, channel: Channel) -> SourceAccess:
        """Members see a channel, and so do all full members of the workspace if it is open."""
        subjects = [_channel_id(channel), *([_team_id(self._identity.team_id)] if channel.is_open else ())]
        return SourceAccess((tuple(map(AccessEntry, subjects)),))

    def _find_channels(self) -> list[Channel]:
        chosen = self._options.chosen_channels
        return [
            each
            for each in self._api.list_channels()
            if not chosen or each.id in chosen or each.name in chosen
        ]

    def _list_all(self) -> Iterator[Change]:
        channels = self._find_channels()
        for missing in self._find_missing(channels):
            yield Unlisted(missing, CodedMessage("slack_channel_missing", name=missing))
        for channel in channels:
            yield from self._list_safely(channel, self._options.since)

    def _find_missing(self, channels: Iterable[Channel]) -> list[str]:
        found = {name for channel in channels for name in (channel.id, channel.name)}
        return sorted(self._options.chosen_channels - found)

    def _list_changed(self, since: datetime) -> Iterator[Change]:
        """Yield the last days of each channel, also days on which all messages were deleted."""
        first = max((since - _AGAIN).date(), self._options.since or date.min)
        days = [
            first + _DAY * number for number in range((daily_listing.current_time().date() - first).days + 1)
        ]
        for channel in self._find_channels():
            missing = {f"{_ALONE}:{channel.id}:{day}" for day in days}
            failed = False
            for change in self._list_safely(channel, first):
                if isinstance(change, Item):
                    missing.discard(change.id)
                failed = failed or isinstance(change, Unlisted)
                yield change
            yield from map(Gone, sorted(missing if not failed else ()))

    def _list_safely(self, channel: Channel, first: date | None) -> Iterator[Change]:
        yield Progress()
        try:
            yield from self._list_channel(channel, first)
        except SlackRefused as error:
            yield Unlisted(channel.name, error.message)

    def _list_channel(self, channel: Channel, first: date | None) -> Iterator[Change]:
        bounds = _bounds(first, daily_listing.current_time().date() + _DAY) if first else {}
        messages = self._api.list_history(channel.id, **bounds)
        for day, found in groupby(messages, key=lambda message: message.moment.date()):
            alone = list[Message]()
            for message in found:
                if message.is_thread:
                    yield self._build_thread(channel, message)
                elif message.is_alone:
                    alone.append(message)
            yield self._build_day(channel, day, alone) if alone else Progress()

    def _list_day(self, channel: str, key: str) -> Iterator[Message]:
        day = date.fromisoformat(key)
        found = self._api.list_history(channel, **_bounds(day, day))
        return (message for message in found if message.is_alone)

    def _build_thread(self, channel: Channel, message: Message) -> Item:
        """The version doesn't depend on the replies themselves, except on edits of recent ones: to read the
        replies takes a request for each thread."""
        latest = message.latest_reply or message.ts
        is_recent = find_moment(latest) >= daily_listing.current_time() - _AGAIN
        edits = self._find_edits(channel, message) if is_recent else ()
        summary = summarize(message, self._names) if message.is_taken else ""
        title = f"#{channel.name}: {summary}" if summary else f"#{channel.name}, {message.moment:%Y-%m-%d}"
        return self._build_item(
            channel,
            f"{_THREAD}:{channel.id}:{message.ts}",
            message,
            title=title,
            version=_digest((message.digest, str(message.reply_count), latest, *edits)),
            modified=find_moment(latest),
        )

    def _find_edits(self, channel: Channel, message: Message) -> list[str]:
        replies = self._api.list_thread(channel.id, message.ts)
        return [reply.digest for reply in replies if reply.edited.ts and reply.ts != message.ts]

    def _build_day(self, channel: Channel, day: date, messages: list[Message]) -> Item:
        """`messages` are newest first."""
        return self._build_item(
            channel,
            f"{_ALONE}:{channel.id}:{day}",
            messages[-1],
            title=f"#{channel.name}, {day}",
            version=_digest(message.digest for message in messages),
            modified=messages[0].moment,
        )

    def _build_item(
        self, channel: Channel, identity: str, first: Message, *, title: str, version: str, modified: datetime
    ) -> Item:
        return Item(
            id=identity,
            name=f"{identity.replace(':', '-')}.html",
            uri=f"{self._identity.url}archives/{channel.id}/p{first.ts.replace('.', '')}",
            version=version,
            container=channel.name,
            title=title,
            modified=modified,
        )

    @cached_property
    def _identity(self) -> Identity:
        return self._api.read_identity()

    @cached_property
    def _names(self) -> Names:
        """Names for texts, as they were when the connection was opened."""
        people = {user.id: user.name for user in self._api.list_users()}
        channels = {each.id: each.name if each.is_open else "" for each in self._api.list_channels()}
        return Names(people, channels)

    def _sign_in(self) -> StepWarning:
        self._api.read_identity()
        return StepWarning(self._server.encryption_warning)

    def _find_first(self) -> list[Item]:
        """Return the first item. Raises SourceRefused if the app is in no channel, or can't read one."""
        if not self._options.chosen_channels and not self._find_channels():
            raise SourceRefused(CodedMessage("slack_channels_missing"))
        return find_first(self._list_all(), skips_unlisted=False)

    def _require_access(self, items: Collection[Item]) -> None:
        require_known_access(self, items)
        require_people(self, "slack_people_unlisted")


def _bounds(first: date, last: date) -> dict[str, str]:
    """Return bounds for the messages of some days. With both bounds, Slack begins with the latest one."""
    start, end = (int(datetime.combine(day, time(), UTC).timestamp()) for day in (first, last + _DAY))
    return {"oldest": f"{start}.000000", "latest": f"{end - 1}.999999", "inclusive": "true"}


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _person_id(user: str) -> str:
    return f"user:{user}"


def _team_id(team: str) -> str:
    return f"team:{team}"


def _channel_id(channel: Channel) -> str:
    return f"channel:{channel.id}"
