"""Localization of numbers and messages, including English texts stored before messages had codes."""

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, Final

from babel.numbers import format_percent
from django.utils.formats import number_format
from django.utils.translation import get_language, gettext, ngettext

from cairn.messages import CATALOGUE, CodedMessage, Plural, Template, Term
from web.i18n.stored_texts import EARLIER, LOCATIONS

_BLANK: Final = re.compile(r"\\\{(\w+)\\\}")
_UNITS: Final = ("B", "KB", "MB", "GB")
_UNIT_STEP: Final = 1024
_JOINED: Final = frozenset({"sentences", "list", "both", "failed_file"})


def number(value: float, decimals: int | None = None) -> str:
    """Format a number: 1,234.5 or 1.234,5."""
    rounded = value if decimals is None else round(value, decimals)  # Django cuts digits off
    return number_format(rounded, decimal_pos=decimals, use_l10n=True, force_grouping=True)


def percent(share: float) -> str:
    """Format a share: 34% or 34 %."""
    return format_percent(share, locale=get_language() or "en")


def size(count: float) -> str:
    """Format a number of bytes like the scripts: 200 MB, 1.5 MB or 1,5 MB."""
    unit = 0
    while count >= _UNIT_STEP and unit < len(_UNITS) - 1:
        count, unit = count / _UNIT_STEP, unit + 1
    is_short = unit and count < 10 and not round(float(count), 1).is_integer()
    return f"{number(count, 1 if is_short else 0)}\xa0{_UNITS[unit]}"


def localize(text: str) -> str:
    """Translate a message, or a text marked for translation; other texts are returned unchanged."""
    if not text or get_language() == "en":
        return text
    if isinstance(text, CodedMessage):
        return _render_message(text)
    known = gettext(text)
    return known if known != text else next(_fitting(text), text)


def _render_message(message: CodedMessage) -> str:
    template = _translate_template(CATALOGUE[message.code], message.params.get("count", 1))
    return template.format(**{name: _parameter(value) for name, value in message.params.items()})


def _translate_template(template: Template, count: int) -> str:
    return ngettext(*template, count) if isinstance(template, Plural) else gettext(template)


def _parameter(value: Any) -> str:
    match value:
        case CodedMessage():
            return _render_message(value)
        case Term():
            return gettext(value)
        case [*names, last]:
            return gettext("{names} or {last}").format(names=", ".join(names), last=last) if names else last
        case int():
            return number(value)
    return str(value)


def _fitting(text: str) -> Iterator[str]:
    for pattern, translated in _patterns():
        if found := pattern.fullmatch(text):
            yield translated().format(**{name: localize(value) for name, value in found.groupdict().items()})


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], Callable[[], str]], ...]:
    """Compile patterns of texts without codes, the longest first, as short ones may match parts of others."""
    rows = sorted(_templates(), key=lambda row: len(row[0]), reverse=True)
    return tuple((_pattern(english), translated) for english, translated in rows if "{" in english)


def _templates() -> Iterator[tuple[str, Callable[[], str]]]:
    for template in (*(CATALOGUE[code] for code in CATALOGUE if code not in _JOINED), *LOCATIONS, *EARLIER):
        forms = template if isinstance(template, Plural) else (template,)
        for count, english in enumerate(forms, 1):
            yield english, partial(_translate_template, template, count)


def _pattern(message: str) -> re.Pattern[str]:
    return re.compile(_BLANK.sub(_placeholder, re.escape(message)), re.DOTALL)


def _placeholder(blank: re.Match[str]) -> str:
    return f"(?P<{blank[1]}>{'[0-9,.]+' if blank[1] == 'count' else '.+?'})"
