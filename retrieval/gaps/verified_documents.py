"""The content of the documents that verified answers are published as."""

import hashlib
import re
from typing import Final

from retrieval.gaps.models import VerifiedAnswer

_HEADING: Final = re.compile(r"^(#{1,5})(?=\s)")
_FENCE: Final = re.compile(r"^\s*(```|~~~)")


def markdown_of(verified: VerifiedAnswer) -> str:
    """Render the answer below its question and again below each alternate question.

    Passages are found by their headings, and search returns one of several passages with the same text.
    """
    body = _demote_headings(verified.text)
    return "\n".join(f"# {_heading(each)}\n\n{body}\n" for each in (verified.title, *verified.wordings))


def is_as_published(verified: VerifiedAnswer) -> bool:
    """Return whether the row has the text that was published: an edit is saved first and published then."""
    return hashlib.sha256(markdown_of(verified).encode()).hexdigest() == verified.sha256


def _heading(text: str) -> str:
    """Escape Markdown in a question."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", text)


def _demote_headings(text: str) -> str:
    """Lower the text's headings by one level, except lines in fenced code."""
    lines, fenced = list[str](), False
    for line in text.splitlines():
        fenced ^= bool(_FENCE.match(line))
        lines.append(line if fenced else _HEADING.sub(r"#\1", line))
    return "\n".join(lines)
