"""Parser for Outlook mails (MSG)."""

from pathlib import Path

from cairn.library.rendition import Rendition
from ingestion.parse import mail, msg
from ingestion.parse.limits import Limits


def parse(path: Path, limits: Limits) -> Rendition:
    return mail.rendition(msg.load(path), limits)
