"""Files of SharePoint sites and OneDrives, read with Microsoft Graph."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.sharepoint.connection import connect
from ingestion.sources.kinds.sharepoint.options import SharepointOptions
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="sharepoint",
    label="SharePoint, OneDrive",
    description=_(
        "Files in libraries of SharePoint sites and in OneDrives of people, in Microsoft 365. Only people "
        "who can open them there find them here."
    ),
    options=SharepointOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/sharepoint",
)
