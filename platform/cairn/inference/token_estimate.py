"""Token estimate for models without an available tokenizer."""

import math
import string

_LETTERS_PER_TOKEN = 2.5  # English has more than four; German in an English vocabulary has fewer than three
_LETTERS = string.ascii_letters.encode() + b" "


def estimate_tokens(text: str) -> int:
    """Overestimate the tokens: one for 2.5 ASCII letters or spaces, and one for each other byte."""
    content = text.encode("utf-8", "replace")
    others = len(content.translate(None, _LETTERS))
    return math.ceil((len(content) - others) / _LETTERS_PER_TOKEN) + others
