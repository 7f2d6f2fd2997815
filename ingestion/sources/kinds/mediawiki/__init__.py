"""Pages and files of a MediaWiki."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.mediawiki.options import MediawikiOptions
from ingestion.sources.kinds.mediawiki.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="mediawiki",
    label="MediaWiki",
    description=_(
        "Pages and files of a MediaWiki. MediaWiki has no permissions for single pages, so you choose the "
        "readers."
    ),
    options=MediawikiOptions,
    connect=connect,
    docs="administer/sources/mediawiki",
)
