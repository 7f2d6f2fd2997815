"""Names of months, days and units, and ways to write numbers and dates, from Unicode's locale data (CLDR)."""

import re
from collections.abc import Iterator
from typing import Final

from babel import Locale
from babel.dates import get_date_format
from babel.units import format_unit

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "pt", "nl", "da")
"""Languages whose numbers, dates and units are compared by value."""
_LOCALES: Final = {language: Locale.parse(language) for language in LANGUAGES}
_ABBREVIATED: Final = ("en", "de", "fr", "nl", "da")
"""Languages whose abbreviated months are read. Others have English words such as "ago", "set" and "out"."""
_UNITS: Final = {
    "duration-second": "second",
    "duration-minute": "minute",
    "duration-hour": "hour",
    "duration-day": "day",
    "duration-week": "week",
    "duration-month": "month",
    "duration-year": "year",
    "concentr-percent": "%",
    "length-meter": "metre",
    "length-kilometer": "km",
    "length-mile": "mile",
    "length-foot": "foot",
    "mass-kilogram": "kg",
    "digital-byte": "byte",
    "digital-kilobyte": "kb",
    "digital-megabyte": "mb",
    "digital-gigabyte": "gb",
    "digital-terabyte": "tb",
    "angle-degree": "degree",
}
_ENGLISH_WORDS: Final = frozenset({"an", "time", "timer", "pie", "pies"})
"""Units of other languages that are words of another meaning in English."""
_WORD: Final = re.compile(r"[^\W\d_]+")


def month_names() -> dict[str, int]:
    """Return the month of each name and abbreviation, in lower case."""
    return {
        name.casefold().rstrip("."): number
        for language, locale in _LOCALES.items()
        for width in ("wide", *(("abbreviated",) if language in _ABBREVIATED else ()))
        for context in ("format", "stand-alone")
        for number, name in locale.months[context][width].items()
    }


def weekday_names() -> dict[str, int]:
    """Return the day of each name in lower case; Monday is 1."""
    return {
        name.casefold(): number + 1
        for locale in _LOCALES.values()
        for number, name in locale.days["format"]["wide"].items()
    }


def unit_names() -> dict[str, str]:
    """Return the unit of each single word for it, in lower case."""
    return {
        name: unit
        for cldr, unit in _UNITS.items()
        for name in _names_of(cldr)
        if _WORD.fullmatch(name) and name not in _ENGLISH_WORDS
    }


def percent_phrases() -> frozenset[str]:
    """Return the phrases of several words, such as "por ciento"."""
    return frozenset(name for name in _names_of("concentr-percent") if " " in name)


def _names_of(cldr: str) -> Iterator[str]:
    for language in LANGUAGES:
        for count in (1, 2):
            written = format_unit(count, cldr, "long", locale=language).replace("\xa0", " ")
            yield written.casefold().removeprefix(str(count)).strip()


def scale_names() -> dict[str, int]:
    """Return words such as "million". Where languages differ, English decides: "billion" is a thousand
    millions."""
    found: dict[str, int] = {}
    for locale in _LOCALES.values():
        for patterns in locale.compact_decimal_formats["long"].values():
            for size, pattern in patterns.items():
                digits, _, name = pattern.pattern.replace("\xa0", " ").partition(" ")
                if _WORD.fullmatch(name):
                    found.setdefault(name.casefold(), 10 ** (len(size) - len(digits)))
    return found


def decimal_separator(language: str) -> str:
    return str(_LOCALES[language].number_symbols["latn"]["decimal"])


def puts_day_first(language: str) -> bool:
    """Return whether dates in digits begin with the day."""
    pattern = get_date_format("short", locale=language).pattern
    return pattern.index("d") < pattern.index("M")
