"""Display names: what people read instead of a user name."""

import unicodedata
from typing import Final

from cairn.errors import InvalidInput
from cairn.hidden_characters import visible
from cairn.messages import CodedMessage

NAME_LENGTH: Final = 150
_ORNAMENTS: Final = str.maketrans("\u2768\u2769\u276a\u276b\u2985\u2986\u2e28\u2e29", "()()()()")
"""Parentheses that normalization leaves as they are."""


def normalize_display_name(name: str) -> str:
    """Return the name in one line, without invisible characters."""
    return " ".join(visible(unicodedata.normalize("NFC", name)).split())


def replace_parentheses(name: str) -> str:
    """Return the name with brackets, which are allowed, for names from directories: "Meyer [External]"."""
    return "".join(
        "[" if _looks_like(each, "(") else "]" if _looks_like(each, ")") else each for each in name
    )


def clean_display_name(name: str) -> str:
    """Return the normalized name. Raises InvalidInput if it is too long, or has parentheses, in which a user
    name follows: "Anna Adler (anna)" could be anyone."""
    name = normalize_display_name(name)
    if len(name) > NAME_LENGTH:
        raise InvalidInput(CodedMessage("display_name_too_long", limit=NAME_LENGTH))
    if any(_looks_like(each, "()") for each in name):
        raise InvalidInput(CodedMessage("display_name_parentheses"))
    return name


def _looks_like(character: str, others: str) -> bool:
    """Return whether the character is one of the others, or contains one in another form."""
    plain = unicodedata.normalize("NFKC", character).translate(_ORNAMENTS)
    return any(each in plain for each in others)
