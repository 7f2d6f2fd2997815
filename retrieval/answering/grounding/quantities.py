"""Numbers, amounts, percentages, times and dates: a claim may only state those of its evidence."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from retrieval.answering.text.lexicon import MONTHS, PERIODS, RATES, SCALES, UNITS, WEEKDAYS
from retrieval.answering.text.locales import decimal_separator, puts_day_first
from retrieval.answering.text.number_words import identify_language, write_digits

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_TO = r"(?:\s?[–-]\s?|\s+(?:to|until|through|bis)\s+)"
_DAY = rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|[.ºª°])?(?:{_TO}(?P<until>\d{{1,2}})(?:st|nd|rd|th)?)?"
_OF = r"(?:(?:of|de|del|di)\s+)?"
_YEAR = r"(?P<year>(?:1[5-9]|20|21)\d\d)"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?P<month>{_MONTH})\.?\s+{_DAY}(?:,?\s+{_YEAR})?(?!\w|[.,]\d)",
        rf"\b{_DAY}\s+{_OF}(?P<month>{_MONTH})\b\.?(?:,?\s+{_OF}{_YEAR})?",
        rf"\b(?P<month>{_MONTH})\.?,?\s+{_OF}{_YEAR}\b",
        rf"\b{_YEAR}-(?P<month>\d\d)-(?P<day>\d\d)\b",
        r"\b(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})\b",
        r"\b(?P<first>\d{1,2})(?P<sign>[/-])(?P<second>\d{1,2})(?P=sign)(?P<year>\d{4})\b",
    )
)
_TIME = re.compile(
    r"(?<![\w:.])(?P<hour>\d{1,2})(?:[:.](?P<minute>\d\d))?\s*(?:(?P<half>[ap])\.?m\b\.?|(?P<uhr>uhr)\b)"
    r"|(?<![\w:.])(?P<h24>\d{1,2}):(?P<m24>\d\d)(?![\w:])",
    re.IGNORECASE,
)
_SCALE = "|".join(sorted(SCALES, key=len, reverse=True))
_NUMBER = re.compile(
    r"(?<![\w#@&])(?<!\d[.,])(?<![A-Za-z]-)(?:(?P<currency>US\$|[$€£]|\b(?:USD|EUR|GBP))\s?)?"
    rf"(?P<number>\d+(?:[.,'’]\d+)*)(?:st|nd|rd|th)?(?:[\s-]?(?P<scale>{_SCALE})\b\.?)?"
    r"(?P<rest>[ \t-]*(?:(?:business|working|work|calendar|consecutive|full|paid|additional|more|other"
    r"|pay|per)[ \t-]+){0,2}(?P<unit>[^\W\d_]+|[%€$£°]))?",
    re.IGNORECASE,
)
_YEARS = re.compile(r"(?:19|20)\d\d")
_GROUPED = re.compile(r"\d{1,3}(?:([.,'’])\d{3})(?:\1\d{3})*")


_PERIODS = "|".join(
    sorted((word for word, unit in UNITS.items() if unit in PERIODS and len(word) > 2), key=len, reverse=True)
)
_RATE = re.compile(rf"\b(?:a|an|per|each|every|pro|je|im|jede[nms]?)\s+({_PERIODS})\b", re.IGNORECASE)
_CALENDAR = re.compile(r"[^\W\d_]+(?:-feira)?")
_BEFORE_DIGIT = re.compile(r"([^\W\d_])(?=\d)")
_GROUPING_SPACE = re.compile(r"(?<=\d)[\u00a0\u202f](?=\d{3}(?!\d))")
MIN_LANGUAGE_CONFIDENCE = 0.95  # from which separators are read by language only
MIN_LANGUAGE_WORDS = 5
_VERBS = frozenset({"may", "march", "mar", "mars", "sat", "sun", "sonne", "mai"})
"""Months that are also other words: read as months if capitalised after a word that dates have."""
_DATED = re.compile(
    r"\b(?:in|by|of|until|till|since|during|from|to|before|after|every|each|next|last|early|mid|late|and|through"
    r"|im|am|bis|seit|ab|vom|zum|ende|anfang|mitte)[\s-]+\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """`readings`: all values that the digits may stand for ("1.500" is 1.5 or 1500)."""

    readings: frozenset[Decimal]
    unit: str | None
    written: str


@dataclass(frozen=True, slots=True)
class Date:
    """A date; missing parts are None. `until` ends a range of days in the same month."""

    year: int | None
    month: int
    day: int | None
    until: int | None
    written: str

    def days(self) -> Iterator["Date"]:
        """Yield the first day and, for a range, the last."""
        yield replace(self, until=None)
        if self.until:
            yield replace(self, day=self.until, until=None)

    def supports(self, other: "Date") -> bool:
        """Return whether this date, as evidence, has every part of the other, which isn't a range."""
        days = {None, self.day, self.until}
        return self.month == other.month and other.year in (None, self.year) and other.day in days


@dataclass(frozen=True, slots=True)
class Figures:
    quantities: tuple[Quantity, ...]
    dates: tuple[Date, ...]
    times: tuple[tuple[frozenset[int], str], ...]  # minutes after midnight, as written

    @property
    def values(self) -> frozenset[object]:
        """The values, comparable however they are written."""
        quantities = ((item.readings, item.unit) for item in self.quantities)
        dates = ((item.year, item.month, item.day, item.until) for item in self.dates)
        return frozenset((*quantities, *dates, *(minutes for minutes, _ in self.times)))


def unsupported_figures(claim: str, evidence: str) -> tuple[str, ...]:
    """Return the figures of the claim, as written, that are not in the evidence."""
    claimed, stated = _figures(claim, is_claim=True), _figures(evidence, is_claim=False)
    units = frozenset(UNITS.get(word.casefold(), "") for word in re.findall(r"[^\W\d_]+|[%€$£°]", evidence))
    missing = [
        date.written
        for date in claimed.dates
        if not any(known.written == date.written for known in stated.dates)
        and not all(any(known.supports(day) for known in stated.dates) for day in date.days())
    ]
    missing += [
        written for minutes, written in claimed.times if not any(minutes & known for known, _ in stated.times)
    ]
    missing += [
        quantity.written
        for quantity in claimed.quantities
        if not any(_agree(quantity, known, units) for known in stated.quantities)
    ]
    missing += [written for unit, written in _rates(claim).items() if unit not in units | _adverbs(evidence)]
    calendar = {*_calendar(evidence, is_claim=False), *(f"month {date.month}" for date in stated.dates)}
    missing += [written for name, written in _calendar(claim, is_claim=True).items() if name not in calendar]
    return tuple(dict.fromkeys(missing))


def _rates(text: str) -> dict[str, str]:
    """Return the units in rates such as "a year" or "monthly"."""
    found = {UNITS[match[1].casefold()]: match.group() for match in _RATE.finditer(text)}
    return found | {
        RATES[word.casefold()]: word for word in _CALENDAR.findall(text) if word.casefold() in RATES
    }


def _adverbs(text: str) -> frozenset[str]:
    return frozenset(RATES.get(word.casefold(), "") for word in _CALENDAR.findall(text))


def _calendar(text: str, *, is_claim: bool) -> dict[str, str]:
    """Return months and days of the week, alone or in a date, each as written."""
    found: dict[str, str] = {}
    for match in _CALENDAR.finditer(text):
        word = match.group().casefold()
        name = f"month {MONTHS[word]}" if word in MONTHS else f"day {WEEKDAYS.get(word)}"
        if (word in MONTHS or word in WEEKDAYS) and not (is_claim and _is_other_word(text, match)):
            found.setdefault(name, match.group())
    return found


def _is_other_word(text: str, match: re.Match[str]) -> bool:
    word = match.group()
    if len(word) > 3 and word.casefold() not in _VERBS:
        return False
    return not (word[0].isupper() and _DATED.search(text, max(0, match.start() - 12), match.start()))


def conflicting_figures(claim: str, sentence: str) -> tuple[str, ...]:
    """Return figures of the claim where the sentence has different ones of the same unit."""
    claimed = _by_unit(_figures(claim, is_claim=False).quantities)
    stated = _by_unit(_figures(sentence, is_claim=False).quantities)
    return tuple(
        quantity.written
        for unit, quantities in claimed.items()
        if unit in stated and not any(_share(quantity, stated[unit]) for quantity in quantities)
        for quantity in quantities
    )


def _by_unit(quantities: Sequence[Quantity]) -> dict[str, list[Quantity]]:
    found: dict[str, list[Quantity]] = {}
    for quantity in quantities:
        if quantity.unit:
            found.setdefault(quantity.unit, []).append(quantity)
    return found


def _share(quantity: Quantity, others: Sequence[Quantity]) -> bool:
    return any(quantity.readings & other.readings for other in others)


def figures_of(text: str) -> Figures:
    """Return the figures that the text states; parts of a date are not quantities."""
    return _figures(text, is_claim=True)


DATES = frozenset({"date", "time", "weekday"})
"""Kinds of figures that aren't quantities."""


def list_figures(text: str) -> list[tuple[str, str]]:
    """Return the kind and the text of each figure, also of months and days of the week without a date.

    Figures of the same kind can be taken for each other: amounts of one unit, dates, or times.
    """
    figures = figures_of(text)
    names = _calendar(text, is_claim=True).items()
    return [
        *(("date", date.written) for date in figures.dates),
        *(("time", written) for _, written in figures.times),
        *((f"quantity {quantity.unit or ''}", quantity.written) for quantity in figures.quantities),
        *(("date" if name.startswith("month") else "weekday", written) for name, written in names),
    ]


def has_quantity(text: str) -> bool:
    return bool(_figures(text, is_claim=False).quantities)


def has_value(text: str) -> bool:
    """Return whether the text has a quantity that is not a year, as column headers have."""
    return any(
        quantity.unit or not _YEARS.fullmatch(quantity.written)
        for quantity in _figures(text, is_claim=True).quantities
    )


def _agree(claimed: Quantity, known: Quantity, units: frozenset[str]) -> bool:
    """Return whether values and units are equal. A bare number in a table may take its unit from
    elsewhere."""
    if not claimed.readings & known.readings:
        return False
    return claimed.unit in (None, known.unit) or (known.unit is None and claimed.unit in units)


@lru_cache(maxsize=4096)
def _figures(text: str, *, is_claim: bool) -> Figures:
    language = _language_of_separators(text)
    text = _BEFORE_DIGIT.sub(_separate_numeral, text)
    text = _GROUPING_SPACE.sub("’", write_digits(text, vague=not is_claim))
    dates: list[Date] = []
    times: list[tuple[frozenset[int], str]] = []
    extra: list[Quantity] = []
    for pattern in _DATES:
        text = pattern.sub(lambda match: _collect_date(match, dates, language), text)
    text = _TIME.sub(lambda match: _collect_time(match, times), text)
    if not is_claim:
        extra = [_unitless(part) for date in dates for part in (date.year, date.day, date.until) if part]
        extra += [_unitless(minute // 60) for minutes, _ in times for minute in minutes]
    return Figures((*_quantities(text, language), *extra), tuple(dates), tuple(times))


def _separate_numeral(match: re.Match[str]) -> str:
    """Return a character before a digit, apart from it unless it is a letter: "²7" isn't a word like "v7"."""
    return match[1] if match[1].isalpha() else f"{match[1]} "


def _language_of_separators(text: str) -> str | None:
    """Return the language that decides what "1.500" means; None if the text is too short."""
    language, confidence = identify_language(text)
    is_sure = confidence >= MIN_LANGUAGE_CONFIDENCE and len(_CALENDAR.findall(text)) >= MIN_LANGUAGE_WORDS
    return language if is_sure else None


def _unitless(value: int) -> Quantity:
    return Quantity(frozenset({Decimal(value)}), None, str(value))


def _collect_date(match: re.Match[str], dates: list[Date], language: str | None) -> str:
    found = match.groupdict()
    if "first" in found:
        found |= _order_date(found["first"], found["second"], language)
    month = found["month"]
    date = Date(
        year=int(found["year"]) if found.get("year") else None,
        month=MONTHS.get(month.casefold(), 0) or int(month if month.isdigit() else 0),
        day=int(found["day"]) if found.get("day") else None,
        until=int(found["until"]) if found.get("until") else None,
        written=match.group().strip(),
    )
    dates.append(date)
    return " ; "


def _order_date(first: str, second: str, language: str | None) -> dict[str, str]:
    """Distinguish day and month: by their size, else by the language, else as in the United States."""
    day_first = int(first) > 12 or (language is not None and int(second) <= 12 and puts_day_first(language))
    return {"day": first, "month": second} if day_first else {"day": second, "month": first}


def _collect_time(match: re.Match[str], times: list[tuple[frozenset[int], str]]) -> str:
    found = match.groupdict()
    hour, minute = int(found["hour"] or found["h24"]), int(found["minute"] or found["m24"] or 0)
    if hour > 24 or minute > 59:
        return match.group()
    half = (found["half"] or "").casefold()
    if half:
        options = {hour % 12 * 60 + minute + (720 if half == "p" else 0)}
    elif found["uhr"] or hour > 12:
        options = {hour * 60 + minute}
    else:
        options = {hour * 60 + minute, hour % 12 * 60 + minute + 720}
    times.append((frozenset(options), match.group().strip()))
    return " ; "


def _quantities(text: str, language: str | None) -> Iterator[Quantity]:
    for match in _NUMBER.finditer(text):
        unit = UNITS.get((match["currency"] or match["unit"] or "").casefold().replace("us$", "$"))
        scale = SCALES.get((match["scale"] or "").casefold(), 1)
        readings = frozenset(value * scale for value in _readings(match["number"], language))
        written = match.group() if unit else match.group()[: match.end("number") - match.start()]
        if readings:
            yield Quantity(readings, unit, written.strip())


def _readings(digits: str, language: str | None) -> set[Decimal]:
    """Return the values that the digits may stand for. If the language is known, "1.500" and "1,500" are
    unambiguous."""
    grouped = _GROUPED.fullmatch(digits)
    if not grouped:
        return _decimal(digits)
    whole = {Decimal(re.sub(r"\D", "", digits))}
    if language and digits.count(grouped[1]) == 1:
        return _decimal(digits) if grouped[1] == decimal_separator(language) else whole
    return whole | _decimal(digits) if digits.count(".") == 1 else whole


def _decimal(digits: str) -> set[Decimal]:
    """Parse with the last separator as the decimal point; those before it only group."""
    whole, _, fraction = re.sub(r"['’]", "", digits).replace(",", ".").rpartition(".")
    text = f"{whole.replace('.', '')}.{fraction}" if whole else fraction
    try:
        return {Decimal(text)} if len(text) < 60 else set()
    except InvalidOperation:
        return set()
