"""Names of and advice for the failure codes of documents."""

from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext_noop as _

from cairn.errors import Rejection


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure code. `retry_helps`: a retry may succeed, as the file alone is not the cause."""

    name: str
    advice: str
    retry_helps: bool = False


FAILURES: Final[dict[str, Failure]] = {
    Rejection.EMPTY_FILE: Failure(
        _("Empty file"),
        _("There is nothing in the file. Look at the original and upload it again."),
    ),
    Rejection.UNSUPPORTED_TYPE: Failure(
        _("Format not read"),
        _(
            "Save it in a format that is read, such as PDF, Word or text. If a program is missing on the "
            "server, an administrator can install it; then try again."
        ),
        retry_helps=True,
    ),
    Rejection.TYPE_MISMATCH: Failure(
        _("Name and content differ"),
        _("Give the file the ending that fits its content, or export it again."),
    ),
    Rejection.DAMAGED_FILE: Failure(
        _("Damaged file"),
        _("Open it in its own program, save it again, and upload the new copy."),
    ),
    Rejection.PASSWORD_PROTECTED: Failure(
        _("Password protected"),
        _("Remove the password in its own program and upload it again."),
    ),
    Rejection.NO_TEXT: Failure(
        _("No text found"),
        _("Scans and pictures need text recognition. If the server has it only since a while, try again."),
        retry_helps=True,
    ),
    Rejection.TOO_LARGE: Failure(_("Too large"), _("Split the file and upload the parts.")),
    Rejection.TOO_MANY_PAGES: Failure(_("Too many pages"), _("Split the file and upload the parts.")),
    Rejection.ARCHIVE_UNSAFE: Failure(
        _("Unsafe archive"),
        _("It unpacks to far more than it should. Check where it comes from."),
    ),
    Rejection.TIME_LIMIT: Failure(
        _("Took too long"),
        _("Try again when the server is less busy, or split the file."),
        retry_helps=True,
    ),
    Rejection.MEMORY_LIMIT: Failure(
        _("Needed too much memory"),
        _("Split the file, or save it in a simpler form."),
        retry_helps=True,
    ),
    Rejection.PARSER_CRASHED: Failure(
        _("Reading broke down"),
        _("Try again; if it fails again, save it in another format."),
        retry_helps=True,
    ),
    Rejection.EMBEDDING_FAILED: Failure(
        _("Embedding model did not answer"),
        _("Try again once the model answers."),
        retry_helps=True,
    ),
    Rejection.INDEX_UNAVAILABLE: Failure(
        _("Search index did not answer"),
        _("Try again once the index answers."),
        retry_helps=True,
    ),
    Rejection.CANCELLED: Failure(
        _("Cancelled"),
        _("Somebody cancelled it; it can be tried again."),
        retry_helps=True,
    ),
}
"""By code."""


def failure_of(code: str) -> Failure:
    """Return the failure for a code, including codes of other errors, such as `forbidden`."""
    return FAILURES.get(code, Failure(_("Refused"), _("The sentence beside the file says why.")))
