"""Windows file shares, such as those of Windows Server, Samba and most NAS systems. Needs the extra `smb`."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.smb.options import SmbOptions
from ingestion.sources.kinds.smb.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="smb",
    label=_("Windows file share"),
    description=_(
        "Files on a share of a Windows or Samba server. Only people who may open a file on the share can "
        "find it in Cairn."
    ),
    options=SmbOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/smb",
)
