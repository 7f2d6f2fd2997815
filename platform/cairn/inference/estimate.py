"""Tokens of a model whose tokenizer is not here."""

import math

_LETTERS_PER_TOKEN = 2.5  # English has more than four; German in an English vocabulary has fewer than three
_DIGITS = frozenset(b"0123456789")


def estimated_tokens(text: str) -> int:
    """On the high side: a token for each digit, for each byte that is not ASCII, for 2.5 other characters."""
    content = text.encode("utf-8", "replace")
    dense = sum(byte in _DIGITS or byte > 127 for byte in content)
    return math.ceil((len(content) - dense) / _LETTERS_PER_TOKEN) + dense
