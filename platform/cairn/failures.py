"""The failure codes of documents: what each is called, what helps, and when another attempt makes sense."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from django.utils.translation import gettext_noop as _

from cairn.errors import Rejection


class Retry(Enum):
    """When processing a failed file again makes sense.

    MANUAL failures are of files that need a program, such as Tesseract. They fail again until an
    administrator installs it: a person can retry them then, but a folder upload that runs every night must
    not send them each time. AUTOMATIC failures are not the file's fault: sending the same bytes again
    processes them again.
    """

    NEVER = "never"
    MANUAL = "manual"
    AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure code as people see it: its name, and what to do about it."""

    name: str
    advice: str
    retry: Retry = Retry.NEVER


FAILURES: Final[dict[str, Failure]] = {
    Rejection.EMPTY_FILE: Failure(
        _("Empty file"),
        _("The file is empty. Check the original and upload it again."),
    ),
    Rejection.UNSUPPORTED_TYPE: Failure(
        _("Unsupported format"),
        _(
            "Save it in a supported format, such as PDF, Word or plain text. If a program is missing "
            "on the server, ask an administrator to install it, then retry."
        ),
        Retry.MANUAL,
    ),
    Rejection.TYPE_MISMATCH: Failure(
        _("File extension doesn’t match"),
        _("Correct the file extension, or export the file again."),
    ),
    Rejection.DAMAGED_FILE: Failure(
        _("Damaged file"),
        _("Open the file in its own program, save it again and upload the new copy."),
    ),
    Rejection.PASSWORD_PROTECTED: Failure(
        _("Password-protected"),
        _("Remove the password and upload the file again."),
    ),
    Rejection.NO_TEXT: Failure(
        _("No text found"),
        _("Scans and images need text recognition. If it was installed recently, retry."),
        Retry.MANUAL,
    ),
    Rejection.TOO_LARGE: Failure(_("Too large"), _("Split the file and upload the parts.")),
    Rejection.TOO_MANY_PAGES: Failure(_("Too many pages"), _("Split the file and upload the parts.")),
    Rejection.ARCHIVE_UNSAFE: Failure(
        _("Unsafe archive"),
        _("The archive unpacks to far more data than expected. Check where it comes from."),
    ),
    Rejection.TIME_LIMIT: Failure(
        _("Took too long"),
        _("Retry when the server is less busy, or split the file."),
        Retry.AUTOMATIC,
    ),
    Rejection.MEMORY_LIMIT: Failure(
        _("Too much memory needed"),
        _("Split the file, or save it in a simpler format."),
        Retry.AUTOMATIC,
    ),
    Rejection.PARSER_CRASHED: Failure(
        _("Processing failed"),
        _("Retry. If it fails again, save the file in another format."),
        Retry.AUTOMATIC,
    ),
    Rejection.EMBEDDING_FAILED: Failure(
        _("Embedding model not responding"),
        _("Retry once the model is available again."),
        Retry.AUTOMATIC,
    ),
    Rejection.INDEX_UNAVAILABLE: Failure(
        _("Search index not responding"),
        _("Retry once the index is available again."),
        Retry.AUTOMATIC,
    ),
    Rejection.CANCELLED: Failure(
        _("Cancelled"),
        _("Processing was cancelled. You can retry it."),
        Retry.AUTOMATIC,
    ),
}
"""By code."""


def failure_of(code: str) -> Failure:
    """Return the failure for a code, including codes of other errors, such as `forbidden`."""
    return FAILURES.get(code, Failure(_("Rejected"), _("See the message next to the file.")))
