"""A model of Slack's Web API, and its own idea of who sees what."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from ingestion.sources.kinds.slack.api import SCOPES
from ingestion.sources.kinds.slack.options import SlackOptions
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.api_server import ApiServer, require, slice_page

PEOPLE = ("ada", "bo", "cy", "di", "eve", "fay")
KINDS = ("full", "guest", "single-channel", "deactivated")
TOKEN = "xoxb-token-of-the-bot"
ADDRESS = "https://acme.slack.com/"
TEAM = "T1"


def time_of(day: int, number: int = 0) -> str:
    """Return the time of a message on a day of November."""
    return f"{int(datetime(2026, 11, day, 10, 0, number, tzinfo=UTC).timestamp())}.000100"


@dataclass
class Message:
    """`thread` is the time of the message that it replies to. `more`: further fields."""

    text: str
    user: str = "ada"
    thread: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Channel:
    """`kind`: "public", "private", or "shared" with another workspace."""

    name: str
    kind: str = "public"
    members: set[str] = field(default_factory=set)
    messages: dict[str, Message] = field(default_factory=dict)
    has_app: bool = True


class SlackServer(ApiServer):
    """`limit`: the most rows of an answer. `users`: kind by name. `error` refuses everything."""

    def __init__(self) -> None:
        super().__init__()
        self.limit, self.error, self.scopes = 4, "", set(SCOPES)
        self.users: dict[str, str] = {}
        self.channels: dict[str, Channel] = {}
        for method, act in {
            "auth.test": self._test,
            "users.conversations": self._list_channels,
            "users.list": self._list_users,
            "conversations.members": self._list_members,
            "conversations.history": self._list_history,
            "conversations.replies": self._list_replies,
        }.items():
            self.route(f"/api/{method}", act)

    def _find_answer(self, request: Request) -> Response:
        if self.error:
            return Response(f'{{"ok": false, "error": "{self.error}"}}')
        return super()._find_answer(request)

    def authorize(self, request: Request) -> None:
        require(request.headers.get("Authorization") == f"Bearer {TOKEN}", 403)

    # what the model itself knows

    def shows(self, person: str, channel: Channel) -> bool:
        kind = self.users.get(person, "deactivated")
        if kind == "deactivated":
            return False
        return person in channel.members or (channel.kind == "public" and kind == "full")

    def list_items(self, identity: str) -> set[str]:
        """Return the documents that a channel should become."""
        found = set()
        replied = {each.thread for each in self.channels[identity].messages.values() if each.thread}
        for time, message in self.channels[identity].messages.items():
            day = datetime.fromtimestamp(float(time), UTC).date()
            if time in replied:
                found.add(f"thread:{identity}:{time}")
            elif not message.thread and "subtype" not in message.more:
                found.add(f"day:{identity}:{day}")
        return found

    def list_shown(self, person: str) -> set[str]:
        return {
            item
            for identity, channel in self.channels.items()
            if channel.has_app and self.shows(person, channel)
            for item in self.list_items(identity)
        }

    # answers

    def _page(self, request: Request, name: str, rows: list[Any], **more: Any) -> dict[str, Any]:
        start = int(request.args.get("cursor", "at-0").removeprefix("at-"))
        found, following = slice_page(rows, start, min(int(request.args["limit"]), self.limit))
        cursor = "" if following is None else f"at-{following}"
        return {"ok": True, name: found, "response_metadata": {"next_cursor": cursor}, **more}

    def _test(self, _request: Request) -> Response:
        answer = f'{{"ok": true, "url": "{ADDRESS}", "team": "Acme", "team_id": "{TEAM}", "user_id": "UBOT"}}'
        return Response(answer, headers={"X-OAuth-Scopes": ",".join(sorted(self.scopes))})

    def _list_channels(self, request: Request) -> Any:
        require(request.args["types"] == "public_channel,private_channel", 400)
        rows = [
            {
                "id": identity,
                "name": channel.name,
                "is_channel": True,
                "is_private": channel.kind == "private",
                "is_shared": channel.kind == "shared",
                "is_ext_shared": channel.kind == "shared",
                "is_org_shared": False,
                "is_im": False,
                "is_mpim": False,
                "topic": None,
            }
            for identity, channel in self.channels.items()
            if channel.has_app
        ]
        return self._page(request, "channels", rows)

    def _list_users(self, request: Request) -> Any:
        rows: list[dict[str, Any]] = [
            {
                "id": f"U-{name}",
                "team_id": TEAM,
                "name": name,
                "deleted": kind == "deactivated",
                "is_bot": False,
                "is_restricted": kind in ("guest", "single-channel"),
                "is_ultra_restricted": kind == "single-channel",
                "profile": {"real_name": name.title(), "display_name": "", "email": email_of(name)},
            }
            for name, kind in self.users.items()
        ]
        plain = {"is_restricted": False, "is_ultra_restricted": False, "deleted": False}
        rows.append({"id": "UBOT", "team_id": TEAM, "name": "cairn", "is_bot": True, **plain})
        rows.append({"id": "USLACKBOT", "team_id": TEAM, "name": "slackbot", "is_bot": False, **plain})
        rows.append({"id": "U-away", "team_id": "T2", "name": "away", "is_bot": False, **plain})
        return self._page(request, "members", rows)

    def _channel(self, request: Request) -> Channel | None:
        found = self.channels.get(request.args["channel"])
        return found if found and found.has_app else None

    def _list_members(self, request: Request) -> Any:
        channel = self._channel(request)
        if not channel:
            return {"ok": False, "error": "channel_not_found"}
        rows = [f"U-{name}" for name in sorted(channel.members)]
        return self._page(request, "members", ["UBOT", "U-away", *rows])

    def _message(self, channel: Channel, time: str, *, with_replies: bool = True) -> dict[str, Any]:
        message = channel.messages[time]
        found = {"type": "message", "ts": time, "user": f"U-{message.user}", "text": message.text}
        if message.thread:
            found["thread_ts"] = message.thread
        replies = sorted(one for one, each in channel.messages.items() if each.thread == time)
        if replies and with_replies:
            found |= {"thread_ts": time, "reply_count": len(replies), "latest_reply": replies[-1]}  # type: ignore[dict-item]
        return {**found, **message.more}

    def _list_history(self, request: Request) -> Any:
        """Without the latest time, Slack begins with the messages that are closest to the oldest one."""
        channel = self._channel(request)
        if not channel:
            return {"ok": False, "error": "not_in_channel"}
        oldest, latest = request.args.get("oldest", ""), request.args.get("latest", "")
        times = [
            time
            for time, message in sorted(channel.messages.items(), reverse=True)
            if (not message.thread or message.more.get("subtype") == "thread_broadcast")
            and (not oldest or time >= oldest)
            and (not latest or time <= latest)
        ]
        if oldest and not latest:
            times.reverse()
        page = self._page(request, "messages", [self._message(channel, time) for time in times])
        return {**page, "has_more": bool(page["response_metadata"]["next_cursor"])}

    def _list_replies(self, request: Request) -> Any:
        channel, first = self._channel(request), request.args["ts"]
        if not channel or first not in channel.messages:
            return {"ok": False, "error": "thread_not_found" if channel else "channel_not_found"}
        times = [first, *sorted(one for one, each in channel.messages.items() if each.thread == first)]
        return self._page(request, "messages", [self._message(channel, time) for time in times])


def fill(server: SlackServer) -> None:
    """Make channels of every kind, in which people of every kind are. The app isn't in the last one."""
    server.users = dict(
        zip(PEOPLE, ("full", "full", "full", "guest", "single-channel", "deactivated"), strict=True)
    )
    for number, (kind, members) in enumerate(
        {
            "public": {"ada", "di", "fay"},
            "private": {"bo", "cy", "eve"},
            "shared": {"ada", "cy"},
        }.items()
    ):
        channel = Channel(f"{kind}-talk", kind, set(members))
        server.channels[f"C{number}"] = channel
        for day in (2, 3, 18, 19):
            for each in range(3):
                channel.messages[time_of(day, each)] = Message(f"Message {each} of {day}", PEOPLE[each])
            channel.messages[time_of(day, 30)] = Message("Yes", "bo", thread=time_of(day, 2))
        channel.messages[time_of(3, 40)] = Message("joined", more={"subtype": "channel_join"})
    server.channels["C9"] = Channel(
        "closed-talk", "private", {"ada"}, {time_of(2): Message("x")}, has_app=False
    )


def change(server: SlackServer, dice: random.Random) -> None:
    """Change who a person is, who is in a channel, or what kind it has."""
    channel = server.channels[dice.choice(sorted(server.channels))]
    match dice.choice(["user", "member", "member", "kind", "app"]):
        case "user":
            server.users[dice.choice(PEOPLE)] = dice.choice(KINDS)
        case "member":
            channel.members ^= {dice.choice(PEOPLE)}
        case "kind":
            channel.kind = dice.choice(["public", "private", "shared"])
        case "app":
            server.channels["C9"].has_app ^= True


def options(server: SlackServer, **given: Any) -> SlackOptions:
    return SlackOptions.model_validate({"url": server.origin, "token": TOKEN, **given})
