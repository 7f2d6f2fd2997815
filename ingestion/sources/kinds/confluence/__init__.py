"""Pages and attachments of a Confluence, with permissions of spaces and restrictions of pages."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.confluence.options import ConfluenceOptions
from ingestion.sources.kinds.confluence.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="confluence",
    label="Confluence",
    description=_(
        "Pages and attachments of a Confluence, Cloud or Data Center. Only people who can see them there "
        "find them here."
    ),
    options=ConfluenceOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/confluence",
)
