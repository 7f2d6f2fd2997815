"""Messages in channels of a Slack workspace, for the people who see these channels."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.slack.options import SlackOptions
from ingestion.sources.kinds.slack.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="slack",
    label="Slack",
    description=_(
        "Messages in channels of a Slack workspace. Only people who can see a channel there find its "
        "messages here."
    ),
    options=SlackOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/slack",
)
