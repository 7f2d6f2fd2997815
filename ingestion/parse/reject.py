"""Rejections with messages for the uploader about the problem and how to solve it."""

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse import formats


def empty_file() -> DocumentRejected:
    return DocumentRejected(
        Rejection.EMPTY_FILE, "The file is empty (0 bytes). Check that it was saved, then upload it again."
    )


def no_text(message: str = "") -> DocumentRejected:
    default = "No text was found in the file, so there is nothing to search. Upload a file that holds text."
    return DocumentRejected(Rejection.NO_TEXT, message or default)


def unsupported(content: str, suffix: str = "") -> DocumentRejected:
    """Reject an unsupported format. `content` completes "the content is"."""
    named = f"The name ends in {suffix}, and the content" if suffix else "The content"
    return DocumentRejected(
        Rejection.UNSUPPORTED_TYPE,
        f"{named} is {content}, which cannot be read. "
        f"Save it in a format that can, and upload that: {formats.supported()}.",
    )


def mismatch(suffix: str, content: str) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TYPE_MISMATCH,
        f"The name ends in {suffix}, but the content is {content}. "
        "Give the file the ending that fits its content, or export it again, and upload that.",
    )


def damaged(kind: str) -> DocumentRejected:
    return DocumentRejected(
        Rejection.DAMAGED_FILE,
        f"The {kind} is damaged or incomplete and could not be read. "
        "Open it in its own program, save it again and upload the new copy.",
    )


def protected(kind: str) -> DocumentRejected:
    return DocumentRejected(
        Rejection.PASSWORD_PROTECTED,
        f"The {kind} is protected by a password. Remove the protection and upload it again.",
    )


def unsafe_archive(why: str) -> DocumentRejected:
    return DocumentRejected(
        Rejection.ARCHIVE_UNSAFE,
        f"The file was not opened because {why}. Save the document again in its own program and upload that.",
    )


def nested_too_deep(limit: int) -> DocumentRejected:
    return unsafe_archive(f"it lies in more than {limit} archives or mails, each inside another")


def too_large(limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_LARGE,
        f"The file holds more than {limit:,} characters of text. Split it and upload the parts.",
    )


def too_many_pieces(limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_LARGE,
        f"The file holds more than {limit:,} lines and sentences. Split it and upload the parts.",
    )


def too_long(limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_LARGE,
        f"A single paragraph is longer than {limit:,} characters. Break it up and upload the file again.",
    )


def part_too_large(limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_LARGE, f"The file has more than {limit >> 20:,} MB. Split it and upload the parts."
    )


def too_many_pages(pages: int, limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_MANY_PAGES,
        f"The file has {pages:,} pages; at most {limit:,} are accepted. Split it and upload the parts.",
    )


def time_limit(seconds: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TIME_LIMIT,
        f"Reading the file took longer than {seconds} seconds. Split it, or save it in a simpler form, "
        "and upload that.",
    )


def memory_limit(megabytes: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.MEMORY_LIMIT,
        f"Reading the file needed more than {megabytes:,} MB of memory. Split it, or save it in a simpler "
        "form, and upload that.",
    )


def parser_crashed() -> DocumentRejected:
    return DocumentRejected(
        Rejection.PARSER_CRASHED,
        "The program that reads such files broke down on this one. "
        "Save the file again in its own program, or in another format, and upload that.",
    )


def cancelled() -> DocumentRejected:
    return DocumentRejected(Rejection.CANCELLED, "Reading the file was cancelled.")
