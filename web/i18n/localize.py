"""Localization of numbers, and of English texts that were stored."""

import re
from collections.abc import Iterator
from functools import cache

from django.utils.formats import number_format
from django.utils.translation import get_language, gettext

from web.i18n.stored_texts import EARLIER, STORED

_BLANK = re.compile(r"\\\{(\w+)\\\}")


def number(value: float, decimals: int | None = None) -> str:
    """Format a number: 1,234.5 or 1.234,5."""
    rounded = value if decimals is None else round(value, decimals)  # Django cuts digits off
    return number_format(rounded, decimal_pos=decimals, use_l10n=True, force_grouping=True)


def localize(text: str) -> str:
    """Translate a stored English text of Cairn; other texts are returned unchanged."""
    if not text or get_language() == "en":
        return text
    known = gettext(text)
    return known if known != text else next(_fitting(text), text)


def _fitting(text: str) -> Iterator[str]:
    for pattern, message in _patterns():
        if found := pattern.fullmatch(text):
            yield gettext(message).format(
                **{name: localize(value) for name, value in found.groupdict().items()}
            )


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compile patterns, the longest first, as short ones may match parts of longer texts."""
    with_blanks = sorted(
        (message for message in (*STORED, *EARLIER) if "{" in message), key=len, reverse=True
    )
    return tuple((_pattern(message), message) for message in with_blanks)


def _pattern(message: str) -> re.Pattern[str]:
    return re.compile(_BLANK.sub(r"(?P<\1>.+?)", re.escape(message)), re.DOTALL)
