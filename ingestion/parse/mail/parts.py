"""The parts of a mail, independent of its file format."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MOST_ATTACHMENTS: Final = 200


@dataclass(frozen=True, slots=True)
class Body:
    """A body. `text` is HTML if `is_html`; `plain` is then the plain alternative, if any."""

    text: str
    is_html: bool = False
    plain: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment. `read` raises DocumentRejected for unreadable content."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part that is not read. `code` is that of the warning about it."""

    code: str


PICTURE: Final = LeftOut("skipped_images")


@dataclass(frozen=True, slots=True)
class Mail:
    """A parsed mail.

    `head` has the known ones of From, To, Cc, Date and Subject, each on one line. `date` is ISO 8601.
    `left_out` are images shown in the text, such as logos, and other skipped parts.
    """

    head: Mapping[str, str]
    date: str = ""
    bodies: tuple[Body, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    is_from_list: bool = False

    @property
    def documents(self) -> tuple[Attachment, ...]:
        """Attachments that become documents, up to MOST_ATTACHMENTS."""
        return self.attachments[:MOST_ATTACHMENTS]
