"""Changes one number, name, date, denial or restriction in a sentence, so that it no longer says the same."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

_WORDS = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "fifteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
]
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_STRANGERS = ("Kowalski", "Nguyen", "Boise", "Helsinki")

_DIGITS = re.compile(r"(?<![\w.,:/#-])\d{1,3}(?:,\d{3})*(?![\w/-]|[.,:]\d)")
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b(?!-)")
_ORDINAL = re.compile(r"\b(?:third|fourth|fifth|tenth)\b(?! part)")
_YEAR = re.compile(r"(?<![\w.,:/#-])20\d\d(?![\w/-])")
_MONTH = re.compile(rf"\b(?:{'|'.join(_MONTHS)})\b")
_DAY = re.compile(rf"\b(?:{'|'.join(_DAYS)})\b")
_NAME = re.compile(r"(?<=[a-z] )[A-Z][a-z]{2,}\b")
_DENIED = re.compile(r"\b(must|may|do|does|is|are|can|should|will|did|was|were|have|has)( not|not)\b")
_AFFIRMED = re.compile(r"\b(must|may|is|are|can|should|will|was|were)\b(?!\s+not|not|n't)")
_SUBJECT = re.compile(
    r"^(?!Only\b)(?:The |All |Our )?[a-z A-Z]{3,40}? (?:may|must|can|should|will) (?!not\b|only\b)"
)


@dataclass(frozen=True, slots=True)
class Change:
    kind: str
    text: str
    original: str


def changes_of(sentence: str, passage: str, random: Random) -> Iterator[Change]:
    """Yield one change of each kind that the sentence allows."""
    for kind, (pattern, replace) in _RULES.items():
        matches = list(pattern.finditer(sentence))
        if not matches:
            continue
        match = random.choice(matches)
        new = replace(match[0], passage, random)
        changed = f"{sentence[: match.start()]}{new}{sentence[match.end() :]}"
        changed = re.sub(r"  +", " ", changed)
        if new and changed.casefold() not in passage.casefold():
            yield Change(kind, changed, sentence)


def _other(pool: Callable[[], list[str]] | list[str]) -> Callable[[str, str, Random], str]:
    def replace(old: str, _: str, random: Random) -> str:
        return random.choice([each for each in (pool if isinstance(pool, list) else pool()) if each != old])

    return replace


def _other_digits(old: str, passage: str, random: Random) -> str:
    """Prefer a number of the same passage, which is harder to notice."""
    near = [number for number in _DIGITS.findall(passage) if number != old]
    return random.choice(near) if near and random.random() < 0.5 else str(int(old.replace(",", "")) + 7)


def _spelt_other(old: str, passage: str, random: Random) -> str:
    return random.choice([word for at, word in enumerate(_WORDS, 2) if str(at) != old and word != old])


def _other_name(old: str, passage: str, random: Random) -> str:
    near = [name for name in _NAME.findall(passage) if name != old]
    return random.choice(near) if near and random.random() < 0.5 else random.choice(_STRANGERS)


def _deny(old: str, passage: str, random: Random) -> str:
    return f"{old} not"


def _affirm(old: str, passage: str, random: Random) -> str:
    return re.sub(r" ?not$", "", old)


def _limit(old: str, passage: str, random: Random) -> str:
    return f"Only {old[0].lower()}{old[1:]}"


_RULES: dict[str, tuple[re.Pattern[str], Callable[[str, str, Random], str]]] = {
    "number in digits": (_DIGITS, _other_digits),
    "number in words": (_NUMBER_WORD, _other(_WORDS)),
    "ordinal": (_ORDINAL, _other(["third", "fourth", "fifth", "tenth"])),
    "digits as another word": (_DIGITS, _spelt_other),
    "name": (_NAME, _other_name),
    "year": (_YEAR, _other([str(year) for year in range(2005, 2035)])),
    "month": (_MONTH, _other(_MONTHS)),
    "day of the week": (_DAY, _other(_DAYS)),
    "denial added": (_AFFIRMED, _deny),
    "denial dropped": (_DENIED, _affirm),
    "only added": (_SUBJECT, _limit),
}
