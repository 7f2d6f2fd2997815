"""What the codes of failed documents mean to people, and what to do."""

from dataclasses import dataclass
from typing import Final

from cairn.errors import Rejection


@dataclass(frozen=True, slots=True)
class Failure:
    """`retry_helps`: the same bytes may become readable, since the file alone is not to blame."""

    name: str
    advice: str
    retry_helps: bool = False


FAILURES: Final[dict[str, Failure]] = {
    Rejection.EMPTY_FILE: Failure(
        "Empty file", "There is nothing in the file. Look at the original and upload it again."
    ),
    Rejection.UNSUPPORTED_TYPE: Failure(
        "Format not read",
        "Save it in a format that is read, such as PDF, Word or text. If a program is missing on the "
        "server, an administrator can install it; then try again.",
        retry_helps=True,
    ),
    Rejection.TYPE_MISMATCH: Failure(
        "Name and content differ", "Give the file the ending that fits its content, or export it again."
    ),
    Rejection.DAMAGED_FILE: Failure(
        "Damaged file", "Open it in its own program, save it again, and upload the new copy."
    ),
    Rejection.PASSWORD_PROTECTED: Failure(
        "Password protected", "Remove the password in its own program and upload it again."
    ),
    Rejection.NO_TEXT: Failure(
        "No text found",
        "Scans and pictures need text recognition. If the server has it only since a while, try again.",
        retry_helps=True,
    ),
    Rejection.TOO_LARGE: Failure("Too large", "Split the file and upload the parts."),
    Rejection.TOO_MANY_PAGES: Failure("Too many pages", "Split the file and upload the parts."),
    Rejection.ARCHIVE_UNSAFE: Failure(
        "Unsafe archive",
        "It unpacks to far more than it should. Check where it comes from.",
    ),
    Rejection.TIME_LIMIT: Failure(
        "Took too long", "Try again when the server is less busy, or split the file.", retry_helps=True
    ),
    Rejection.MEMORY_LIMIT: Failure(
        "Needed too much memory", "Split the file, or save it in a simpler form.", retry_helps=True
    ),
    Rejection.PARSER_CRASHED: Failure(
        "Reading broke down",
        "Try again; if it fails again, save it in another format.",
        retry_helps=True,
    ),
    Rejection.EMBEDDING_FAILED: Failure(
        "Embedding model did not answer", "Try again once the model answers.", retry_helps=True
    ),
    Rejection.INDEX_UNAVAILABLE: Failure(
        "Search index did not answer", "Try again once the index answers.", retry_helps=True
    ),
    Rejection.CANCELLED: Failure(
        "Cancelled", "Somebody cancelled it; it can be tried again.", retry_helps=True
    ),
}
"""By code."""


def failure_of(code: str) -> Failure:
    """Also for a code that a door gave, such as `forbidden`, which is none of a document's."""
    return FAILURES.get(code, Failure("Refused", "The sentence beside the file says why."))
