"""Pages and files of a website, found by its sitemaps and links."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.website.options import WebsiteOptions
from ingestion.sources.kinds.website.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="website",
    label=_("Website"),
    description=_(
        "Pages and files of a website, such as an intranet. Websites have no permissions that Cairn "
        "could take over, so you choose the readers."
    ),
    options=WebsiteOptions,
    connect=connect,
    docs="administer/sources/website",
)
