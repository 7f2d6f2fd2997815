"""Text of a document as a quote shows it: without marks that only its own markup gives a meaning."""

import re
from typing import Final

_DEFINITION: Final = re.compile(r"(?:^|(?<=\s))\[\^[\w-]{1,40}\]:[ \t]*", re.MULTILINE)
_RANGE: Final = r"(?!\w-\w\])"  # of characters, in a regular expression
_MARK: Final = re.compile(rf"[ \t]?\[\^\d{{1,3}}\]|(?<=\S)\[\^{_RANGE}[^\W\d][\w-]{{1,39}}\]")
_ESCAPE: Final = re.compile(r"\\(?=[*_\[\]#~])")


def clean_quoted_text(text: str) -> str:
    """Remove marks of footnotes (`[^2]`) and backslashes that keep punctuation from acting as Markdown."""
    return _ESCAPE.sub("", _MARK.sub("", _DEFINITION.sub("", text)))
