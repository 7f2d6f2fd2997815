"""Display names: what people read instead of a user name."""

import unicodedata
from typing import Final

from cairn.errors import InvalidInput
from cairn.hidden_characters import visible
from cairn.messages import CodedMessage

NAME_LENGTH: Final = 150


def normalize_display_name(name: str) -> str:
    """Return the name in one line, without characters that nobody sees."""
    return " ".join(visible(unicodedata.normalize("NFC", name)).split())


def clean_display_name(name: str) -> str:
    """Return the normalized name. Raises InvalidInput if it is too long."""
    name = normalize_display_name(name)
    if len(name) > NAME_LENGTH:
        raise InvalidInput(CodedMessage("display_name_too_long", limit=NAME_LENGTH))
    return name
