"""Format numbers, dates and truth values as spreadsheet programs do."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Final

from ingestion.parse.text.cleaning import clean

_DIGITS: Final = 12  # what binary fractions add behind them is noise
_EXACT_BELOW: Final = 1e15
_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|(?P<unseen>\[[^\]]*\]|_.|\*.)'
    r"|(?P<end>;)|(?P<places>[#0?][#0?,]*(?:\.[#0?]*)?|\.[#0?]+)|(?P<sign>[-+%() $€£¥])|(?P<other>.)",
    re.DOTALL,
)
_SCALED: Final = re.compile(r",(?:\.|$)")
_LONGEST_CODE: Final = 255
_MOST_PLACES: Final = 12
_BUILTIN: Final = {
    "1": "0", "2": "0.00", "3": "#,##0", "4": "#,##0.00", "9": "0%", "10": "0.00%",
    "37": "#,##0", "38": "#,##0", "39": "#,##0.00", "40": "#,##0.00",
    "41": "#,##0", "42": "#,##0", "43": "#,##0.00", "44": "#,##0.00",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A number format: `least` to `most` decimals; `width` integer digits, padded with zeros."""

    before: str
    after: str
    width: int
    least: int
    most: int
    grouped: bool

    def apply(self, value: float) -> str:
        percent = "%" in self.before or "%" in self.after
        number = Decimal(str(value)) * (100 if percent else 1)
        rounded = abs(number).quantize(Decimal(1).scaleb(-self.most), ROUND_HALF_UP)
        whole, _, fraction = f"{rounded:f}".partition(".")
        fraction = fraction[: self.least] + fraction[self.least :].rstrip("0")
        whole = f"{int(whole):,}" if self.grouped else whole.zfill(self.width)
        sign = "-" if number < 0 and rounded else ""
        return f"{sign}{self.before}{whole}{'.' if fraction else ''}{fraction}{self.after}"


def builtin_format(number: str) -> NumberFormat | None:
    """Return a format that files refer to by number only."""
    return parse_format(_BUILTIN[number]) if number in _BUILTIN else None


@lru_cache(maxsize=1000)
def parse_format(code: str) -> NumberFormat | None:
    """Parse a format code. Returns None for dates, fractions, exponents and scaled numbers."""
    around, places = ["", ""], ""
    for token in _TOKEN.finditer(code[:_LONGEST_CODE]):
        kind = token.lastgroup
        if kind == "end":
            break
        if kind == "other" or (kind == "places" and places):
            return None
        if kind == "places":
            places = token[0]
        elif kind and kind != "unseen":
            around[bool(places)] += token[kind]
    return None if not places or _SCALED.search(places) else _format(around, places)


def _format(around: list[str], places: str) -> NumberFormat | None:
    whole, _, fraction = places.partition(".")
    if len(fraction) > _MOST_PLACES:
        return None
    width, least = whole.count("0"), fraction.count("0")
    return NumberFormat(around[0].lstrip(), around[1].rstrip(), width, least, len(fraction), "," in whole)


def format_value(value: object, number_format: NumberFormat | None = None) -> str:
    """Return a value as one clean line of text."""
    match value:
        case str():
            text = value if value.isascii() and value.isprintable() else clean(value)
            return " ".join(text.split())
        case bool():
            return str(value).upper()
        case int() | float():
            return _number(value, number_format)
        case datetime():
            return f"{value:%Y-%m-%d}{_clock(value.time())}"
        case date():
            return value.isoformat()
        case time():
            return _clock(value, always=True).strip()
        case timedelta():
            return _duration(value)
        case _:
            return ""


def _number(value: float, number_format: NumberFormat | None) -> str:
    if abs(value) < _EXACT_BELOW:
        if number_format is not None:
            return number_format.apply(value)
        if value == int(value):
            return str(int(value))
    return f"{value:.{_DIGITS}g}"


def _clock(value: time, *, always: bool = False) -> str:
    if value == time() and not always:
        return ""
    return f" {value:%H:%M:%S}" if value.second else f" {value:%H:%M}"


def _duration(value: timedelta) -> str:
    """Format a duration; more than a day is given in hours."""
    seconds = round(value.total_seconds())
    minutes, second = divmod(abs(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{'-' if seconds < 0 else ''}{hour}:{minute:02}{f':{second:02}' if second else ''}"
