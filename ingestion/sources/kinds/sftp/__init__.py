"""Files of a server over SFTP, with their POSIX permissions and access lists."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.sftp.options import SftpOptions
from ingestion.sources.kinds.sftp.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="sftp",
    label=_("SFTP server"),
    description=_(
        "Files of a Linux or Unix server over SSH, with its users, groups, permissions and access lists."
    ),
    options=SftpOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/sftp",
)
