"""Options of a Slack source."""

from datetime import date

from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator

from ingestion.sources.protocol import SourceOptions
from ingestion.sources.web_server import ServerUrl

_BOT_TOKEN = "xoxb-"  # noqa: S105 - how such tokens start


class SlackOptions(SourceOptions):
    """`channels` are names or ids, separated by commas; "" are all that the app is in."""

    token: SecretStr = Field(
        title=_("Token of the app"),
        description=_(
            "The “Bot User OAuth Token”, which Slack shows on your app’s page “OAuth & Permissions”. It "
            "starts with “xoxb-”."
        ),
    )
    channels: str = Field(
        default="",
        max_length=5000,
        title=_("Channels"),
        description=_("Names or IDs, separated by commas. Empty for all channels that the app is in."),
        json_schema_extra={"step": "selection"},
    )
    since: date | None = Field(
        default=None,
        title=_("Messages since"),
        description=_("A day such as 2026-01-31. Empty for all messages that Slack still has."),
        json_schema_extra={"step": "selection"},
    )
    url: ServerUrl = Field(
        default="https://slack.com/",
        max_length=500,
        title=_("Address of Slack"),
        description=_("Another one only behind a gateway of your own."),
    )

    @property
    def chosen_channels(self) -> frozenset[str]:
        """Names without “#”, and ids."""
        return frozenset(filter(None, (name.strip().lstrip("#") for name in self.channels.split(","))))

    @field_validator("token")
    @classmethod
    def _require_bot(cls, token: SecretStr) -> SecretStr:
        """A token of a person would also read what only that person sees."""
        if not token.get_secret_value().startswith(_BOT_TOKEN):
            raise ValueError(_("Enter the token of a bot, which starts with “xoxb-”."))
        return token
