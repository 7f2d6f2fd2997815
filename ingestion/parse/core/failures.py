"""Rejections with messages for the uploader about the problem and how to solve it."""

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.core import formats


def empty_file() -> DocumentRejected:
    return DocumentRejected(
        Rejection.EMPTY_FILE, "The file is empty (0 bytes). Check the original and upload it again."
    )


def no_text(message: str = "") -> DocumentRejected:
    default = "No text was found in the file. Upload a file that contains text."
    return DocumentRejected(Rejection.NO_TEXT, message or default)


def unsupported(content: str, suffix: str = "") -> DocumentRejected:
    """Reject an unsupported format. `content` completes "the content is"."""
    named = f"This {suffix} file" if suffix else "This file"
    return DocumentRejected(
        Rejection.UNSUPPORTED_TYPE,
        f"{named} is {content}, which Cairn can’t read. "
        f"Save it in a supported format and upload it again: {formats.supported()}.",
    )


def mismatch(suffix: str, content: str) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TYPE_MISMATCH,
        f"The file name ends in {suffix}, but the content is {content}. "
        "Correct the extension, or export the file again, and upload it.",
    )


def damaged(kind: str) -> DocumentRejected:
    return DocumentRejected(
        Rejection.DAMAGED_FILE,
        f"The {kind} is damaged or incomplete. "
        "Open it in its own program, save it again and upload the new copy.",
    )


def protected(kind: str) -> DocumentRejected:
    return DocumentRejected(
        Rejection.PASSWORD_PROTECTED,
        f"The {kind} is password-protected. Remove the password and upload it again.",
    )


def unsafe_archive(why: str) -> DocumentRejected:
    return DocumentRejected(
        Rejection.ARCHIVE_UNSAFE,
        f"Cairn didn’t open this file because {why}. "
        "Save it again in its own program and upload the new copy.",
    )


def nested_too_deep(limit: int) -> DocumentRejected:
    return unsafe_archive(f"it is nested in more than {limit} archives or emails")


def too_large(limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_LARGE,
        f"The file contains more than {limit:,} characters of text. Split it and upload the parts.",
    )


def too_many_pieces(limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_LARGE,
        f"The file contains more than {limit:,} lines and sentences. Split it and upload the parts.",
    )


def too_long(limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_LARGE,
        f"A paragraph is longer than {limit:,} characters. Split it and upload the file again.",
    )


def part_too_large(limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_LARGE, f"The file is larger than {limit >> 20:,} MB. Split it and upload the parts."
    )


def too_many_pages(pages: int, limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_MANY_PAGES,
        f"The file has {pages:,} pages; the limit is {limit:,}. Split it and upload the parts.",
    )


def time_limit(seconds: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TIME_LIMIT,
        f"Reading the file took longer than {seconds} seconds. "
        "Split it or save it in a simpler format, then upload it again.",
    )


def memory_limit(megabytes: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.MEMORY_LIMIT,
        f"Reading the file needed more than {megabytes:,} MB of memory. "
        "Split it or save it in a simpler format, then upload it again.",
    )


def parser_crashed() -> DocumentRejected:
    return DocumentRejected(
        Rejection.PARSER_CRASHED,
        "The parser crashed on this file. Save it again in its own program or in another format, "
        "then upload it again.",
    )


def cancelled() -> DocumentRejected:
    return DocumentRejected(Rejection.CANCELLED, "Processing was cancelled.")
