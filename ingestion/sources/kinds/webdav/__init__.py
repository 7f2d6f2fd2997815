"""Folders on a WebDAV server, such as Nextcloud, Apache or IIS."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.webdav.options import WebdavOptions
from ingestion.sources.kinds.webdav.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="webdav",
    label=_("WebDAV folder"),
    description=_(
        "Files in a folder of a WebDAV server, such as Nextcloud. WebDAV doesn’t show permissions, so you "
        "choose the readers."
    ),
    options=WebdavOptions,
    connect=connect,
    docs="administer/sources/webdav",
)
