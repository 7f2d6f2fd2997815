"""Pages and files of a DokuWiki, with its access rules."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.dokuwiki.options import DokuwikiOptions
from ingestion.sources.kinds.dokuwiki.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="dokuwiki",
    label="DokuWiki",
    description=_("Pages and files of a DokuWiki. Only people who can read a page in the wiki find it here."),
    options=DokuwikiOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/dokuwiki",
)
