"""Warnings for a document's processing report."""

from cairn.messages import CodedMessage


def build_count_note(code: str, count: int) -> tuple[CodedMessage, ...]:
    """Return the message with this code and count. Empty for a count of zero."""
    return (CodedMessage(code, count=count),) if count else ()
