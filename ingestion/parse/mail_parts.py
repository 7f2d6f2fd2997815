"""What a mail is made of, whichever program wrote it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MOST_ATTACHMENTS: Final = 200


@dataclass(frozen=True, slots=True)
class Body:
    """`text` is HTML if `is_html`; `plain` is then the same without markup, where the mail has that too."""

    text: str
    is_html: bool = False
    plain: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """`read` raises DocumentRejected for content that cannot be had."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part that is not read. `what` it is, in the singular."""

    what: str


PICTURE: Final = LeftOut("picture")


@dataclass(frozen=True, slots=True)
class Mail:
    """`head` has those of From, To, Cc, Date and Subject that are known, each on one line.

    `date` is ISO 8601. `left_out` are pictures shown in the text, such as logos, and the like.
    """

    head: Mapping[str, str]
    date: str = ""
    bodies: tuple[Body, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    is_from_list: bool = False

    @property
    def kept(self) -> tuple[Attachment, ...]:
        """The attachments that become documents."""
        return self.attachments[:MOST_ATTACHMENTS]
