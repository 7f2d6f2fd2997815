"""Files of Google Drive: shared drives and folders, with who may open them."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.google_drive.connection import connect
from ingestion.sources.kinds.google_drive.options import GoogleDriveOptions
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="google_drive",
    label="Google Drive",
    description=_(
        "Files and documents of shared drives and folders of a Google Workspace. Only people who can open "
        "them there find them here."
    ),
    options=GoogleDriveOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/google-drive",
)
