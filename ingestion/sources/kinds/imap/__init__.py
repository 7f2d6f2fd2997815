"""Messages in mailboxes of an IMAP server."""

from typing import Final

from django.utils.translation import gettext_noop as _

from ingestion.sources.kinds.imap.options import ImapOptions
from ingestion.sources.kinds.imap.source import connect
from ingestion.sources.protocol import SourceKind

KIND: Final = SourceKind(
    name="imap",
    label=_("Mailboxes (IMAP)"),
    description=_(
        "Messages in shared mailboxes, with their attachments. If the server has access lists (RFC 4314), "
        "whoever may read a mailbox there can read its messages here."
    ),
    options=ImapOptions,
    connect=connect,
    has_access=True,
    has_people=True,
    docs="administer/sources/imap",
)
