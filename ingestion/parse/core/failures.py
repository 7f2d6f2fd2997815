"""Rejections with messages for the uploader about the problem and how to solve it."""

from cairn.errors import DocumentRejected, Rejection
from cairn.messages import CodedMessage, Term
from ingestion.parse.core import formats


def empty_file() -> DocumentRejected:
    return DocumentRejected(Rejection.EMPTY_FILE, CodedMessage("empty_file"))


def no_text(message: str = "") -> DocumentRejected:
    return DocumentRejected(Rejection.NO_TEXT, message or CodedMessage("no_text"))


def unsupported(content: str, suffix: str = "") -> DocumentRejected:
    """Reject an unsupported format. `content` completes "the content is"."""
    supported = formats.list_extensions()
    if not suffix:
        message = CodedMessage("unsupported", content=content, formats=supported)
    else:
        message = CodedMessage("unsupported_suffix", suffix=suffix, content=content, formats=supported)
    return DocumentRejected(Rejection.UNSUPPORTED_TYPE, message)


def mismatch(suffix: str, content: str) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TYPE_MISMATCH, CodedMessage("type_mismatch", suffix=suffix, content=content)
    )


def damaged(kind: str) -> DocumentRejected:
    """Reject a damaged file. `kind` is one of the terms in `formats`."""
    return DocumentRejected(Rejection.DAMAGED_FILE, CodedMessage("damaged", kind=Term(kind)))


def nested_beyond_reading() -> DocumentRejected:
    """Reject a file whose parts are nested too deeply to be read."""
    return DocumentRejected(Rejection.DAMAGED_FILE, CodedMessage("damaged_file"))


def protected(kind: str) -> DocumentRejected:
    """Reject an encrypted file. `kind` is one of the terms in `formats`."""
    return DocumentRejected(Rejection.PASSWORD_PROTECTED, CodedMessage("protected", kind=Term(kind)))


def unsafe_archive(code: str, **params: int) -> DocumentRejected:
    """Reject an archive for the reason with this message code."""
    return DocumentRejected(
        Rejection.ARCHIVE_UNSAFE, CodedMessage("unsafe", why=CodedMessage(code, **params))
    )


def nested_too_deep(limit: int) -> DocumentRejected:
    return unsafe_archive("unsafe_nesting", limit=limit)


def too_large(limit: int) -> DocumentRejected:
    return DocumentRejected(Rejection.TOO_LARGE, CodedMessage("too_many_characters", limit=limit))


def too_many_pieces(limit: int) -> DocumentRejected:
    return DocumentRejected(Rejection.TOO_LARGE, CodedMessage("too_many_pieces", limit=limit))


def too_long(limit: int) -> DocumentRejected:
    return DocumentRejected(Rejection.TOO_LARGE, CodedMessage("too_long_paragraph", limit=limit))


def part_too_large(limit: int) -> DocumentRejected:
    return DocumentRejected(Rejection.TOO_LARGE, CodedMessage("too_large_part", limit=limit >> 20))


def too_many_pages(pages: int, limit: int) -> DocumentRejected:
    return DocumentRejected(
        Rejection.TOO_MANY_PAGES, CodedMessage("too_many_pages", pages=pages, limit=limit)
    )


def time_limit(seconds: int) -> DocumentRejected:
    return DocumentRejected(Rejection.TIME_LIMIT, CodedMessage("time_limit", seconds=seconds))


def memory_limit(megabytes: int) -> DocumentRejected:
    return DocumentRejected(Rejection.MEMORY_LIMIT, CodedMessage("memory_limit", megabytes=megabytes))


def parser_crashed() -> DocumentRejected:
    return DocumentRejected(Rejection.PARSER_CRASHED, CodedMessage("parser_crashed"))


def cancelled() -> DocumentRejected:
    return DocumentRejected(Rejection.CANCELLED, CodedMessage("cancelled"))
