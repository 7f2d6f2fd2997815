"""Issues, comments and attachments of a Jira, with permissions of projects and security levels of issues."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.jira.options import JiraOptions
from ingestion.sources.kinds.jira.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="jira",
    label="Jira",
    description=_(
        "Issues, comments and attachments of a Jira, Cloud or Data Center. Only people who can see them "
        "there find them here."
    ),
    options=JiraOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/jira",
)
