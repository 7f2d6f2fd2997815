"""Parser for Outlook mails (MSG)."""

from pathlib import Path

from cairn.library.rendition import Rendition
from ingestion.parse.core.limits import Limits
from ingestion.parse.mail import mail_message, msg


def parse(path: Path, limits: Limits) -> Rendition:
    return mail_message.rendition(msg.load(path), limits)
