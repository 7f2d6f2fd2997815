"""Objects that Slack's Web API returns."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from ingestion.sources.json_api import JsonObject

TAKEN_SUBTYPES: Final = frozenset(("", "bot_message", "me_message", "file_share", "thread_broadcast"))
"""Kinds of messages that somebody wrote, rather than Slack itself, such as when a person joins."""
_SLACKBOT: Final = "USLACKBOT"
_BLOCK_DEPTH: Final = 12
Timestamp = Annotated[str, Field(pattern=r"^\d{1,10}\.\d{1,6}$")]
"""Time of a message in seconds, which is its id in the channel."""


def find_moment(timestamp: str) -> datetime:
    return datetime.fromtimestamp(float(timestamp), UTC)


class SlackObject(JsonObject):
    """Object in which apps send numbers for some texts."""

    model_config = ConfigDict(coerce_numbers_to_str=True)


class Outcome(SlackObject):
    """Success or failure of a request. `needed` are the scopes that are missing."""

    ok: bool
    error: str = ""
    needed: str = ""


class Metadata(SlackObject):
    """Place of the next page."""

    cursor: str = Field(default="", alias="next_cursor")


class Page(SlackObject):
    """A page of a list."""

    metadata: Metadata = Field(default=Metadata(), alias="response_metadata")


class Identity(SlackObject):
    """The workspace of a token, and its address."""

    url: str = Field(pattern=r"^https://\S+/$")
    team: str = ""
    team_id: str = Field(min_length=1)


class Profile(SlackObject):
    """Names and email address of a user."""

    display_name: str = ""
    real_name: str = ""
    email: str = ""

    @property
    def name(self) -> str:
        return self.display_name or self.real_name


class Membership(SlackObject):
    """The workspaces of a user of an organisation that has several."""

    teams: list[str] = []


class User(SlackObject):
    """A user. What Slack doesn't say counts against the user."""

    id: str
    team_id: str = ""
    username: str = Field(default="", alias="name")
    profile: Profile = Profile()
    deleted: bool = True
    is_bot: bool = True
    is_restricted: bool = True
    is_ultra_restricted: bool = True
    enterprise_user: Membership = Membership()

    @property
    def name(self) -> str:
        return self.profile.name or self.username or self.id

    @property
    def is_guest(self) -> bool:
        return self.is_restricted or self.is_ultra_restricted

    def is_person_of(self, team: str) -> bool:
        """Return whether this is an active person of a workspace, maybe a guest, but not of another one."""
        is_inside = team == self.team_id or team in self.enterprise_user.teams
        return is_inside and not self.deleted and not self.is_bot and self.id != _SLACKBOT


class Users(Page):
    """Users of the workspace, also former ones and bots."""

    members: list[User]


class Channel(SlackObject):
    """A channel. Those of which Slack doesn't say that they are public and not shared are for members."""

    id: str = Field(min_length=1)
    label: str = Field(default="", alias="name")
    is_private: bool = True
    is_shared: bool = True
    is_ext_shared: bool = True
    is_org_shared: bool = True
    is_im: bool = False
    is_mpim: bool = False

    @property
    def name(self) -> str:
        return self.label or self.id

    @property
    def is_open(self) -> bool:
        """Public channels that aren't shared are open: all full members of the workspace see them."""
        return not (self.is_private or self.is_shared or self.is_ext_shared or self.is_org_shared)


class Channels(Page):
    """Channels that the app is in."""

    channels: list[Channel]


class Members(Page):
    """Ids of the members of a channel."""

    members: list[str]


class Edit(SlackObject):
    """The last edit of a message."""

    ts: str = ""


class File(SlackObject):
    """A file shared in a message."""

    name: str = ""
    title: str = ""


class Attachment(SlackObject):
    """A part of a bot's message, or a preview of something else that a message links to."""

    pretext: str = ""
    title: str = ""
    text: str = ""
    fallback: str = ""
    from_url: str = ""
    is_msg_unfurl: bool = False


class Bot(SlackObject):
    """The app that wrote a message."""

    name: str = ""


class Message(SlackObject):
    """A message. `thread` is the time of the message that began its thread."""

    ts: Timestamp
    user: str = ""
    bot_id: str = ""
    username: str = ""
    subtype: str = ""
    hidden: bool = False
    text: str = ""
    thread: str = Field(default="", alias="thread_ts")
    reply_count: int = 0
    latest_reply: Timestamp = ""
    edited: Edit = Edit()
    files: list[File] = []
    attachments: list[Attachment] = []
    blocks: list[Any] = []
    user_profile: Profile = Profile()
    bot_profile: Bot = Bot()

    @property
    def moment(self) -> datetime:
        return find_moment(self.ts)

    @property
    def body(self) -> str:
        """The text, or that of the blocks that some bots send without one."""
        return self.text or "\n".join(_list_block_texts(self.blocks, _BLOCK_DEPTH))

    @property
    def is_taken(self) -> bool:
        has_content = bool(self.body.strip() or self.files or self.attachments)
        return has_content and self.subtype in TAKEN_SUBTYPES and not self.hidden

    @property
    def is_thread(self) -> bool:
        """Only the message that begins a thread counts as one."""
        return self.reply_count > 0 and self.thread in ("", self.ts)

    @property
    def is_alone(self) -> bool:
        """A message without replies that isn't a reply."""
        return self.is_taken and self.thread in ("", self.ts) and not self.is_thread

    @property
    def digest(self) -> str:
        """Digest of what the message says. It stays when people and channels get other names."""
        fields = {"ts", "user", "username", "subtype", "files", "attachments"}
        return hashlib.sha256(f"{self.model_dump_json(include=fields)}{self.body}".encode()).hexdigest()


def _list_block_texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, dict):
        text = value.get("text")
        if isinstance(text, str):
            yield text
            return
        value = list(value.values())
    for each in value if isinstance(value, list) and depth else ():
        yield from _list_block_texts(each, depth - 1)


class Messages(Page):
    """Messages of a channel or thread."""

    messages: list[Message]
    has_more: bool = False
