"""Changes one number, name, date, denial or restriction in a sentence, so that it no longer says the same."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

_NUMBERS = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
}
_WORDS = list(_NUMBERS)
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
_UNITS = ["minutes", "hours", "days", "weeks", "months", "years"]

_DIGITS = re.compile(r"(?<![\w.,:/#-])\d{1,3}(?:,\d{3})*(?![\w/-]|[.,:]\d)")
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b(?!-)")
_ORDINAL = re.compile(r"\b(?:third|fourth|fifth|tenth)\b(?! part)")
_YEAR = re.compile(r"(?<![\w.,:/#-])20\d\d(?![\w/-])")
_MONTH = re.compile(rf"\b(?:{'|'.join(_MONTHS)})\b")
_DAY = re.compile(rf"\b(?:{'|'.join(_DAYS)})\b")
_NAME = re.compile(r"(?<=[a-z] )[A-Z][a-z]{2,}\b")
_DENIED = re.compile(r"\b(must|may|do|does|is|are|can|should|will|did|was|were|have|has)( not|not)\b")
_AFFIRMED = re.compile(r"\b(must|may|is|are|can|should|will|was|were)\b(?!\s+not|not|n't)")
_CONTRACTED = re.compile(r"\b(do|does|did|is|are|was|were|has|have|should|could|would|ca|wo)n['’]t\b")
_NEVER = re.compile(r"\b(?:never|without)\b")
_UNIT = re.compile(rf"(?<=\d )(?:{'|'.join(_UNITS)})\b")
_ONLY = re.compile(r"(?<!not )(?<!-)\b(?:only|solely|exclusively)\b ")
_PERMITTED = re.compile(r"\b(?:may|can|must|should|will)\b(?! only| not|not)")
_EXCEPTION = re.compile(r",? (?:except|unless|other than|apart from|excluding)\b[^.,;:()]*(?=[.,;:])")
_EXCEPT = re.compile(r"\b(?:except(?: for)?|excluding)\b(?! (?:that|when|if|where|in|by|to|as|with)\b)")
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
        if new != match[0] and changed.casefold() not in passage.casefold():
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
    return random.choice([word for word, value in _NUMBERS.items() if str(value) != old])


def _other_name(old: str, passage: str, random: Random) -> str:
    near = [name for name in _NAME.findall(passage) if name != old]
    return random.choice(near) if near and random.random() < 0.5 else random.choice(_STRANGERS)


def _deny(old: str, passage: str, random: Random) -> str:
    return f"{old} not"


def _affirm(old: str, passage: str, random: Random) -> str:
    return re.sub(r" ?not$", "", old)


def _affirm_contracted(old: str, passage: str, random: Random) -> str:
    verb = re.sub(r"n['’]t$", "", old)
    return {"ca": "can", "wo": "will"}.get(verb, verb)


def _reverse(old: str, passage: str, random: Random) -> str:
    return {"never": "always", "without": "with"}[old]


def _drop(old: str, passage: str, random: Random) -> str:
    return ""


def _include(old: str, passage: str, random: Random) -> str:
    return "including"


def _limit_inside(old: str, passage: str, random: Random) -> str:
    return f"{old} only"


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
    "denial dropped from a contraction": (_CONTRACTED, _affirm_contracted),
    "denial reversed": (_NEVER, _reverse),
    "unit": (_UNIT, _other(_UNITS)),
    "only added": (_SUBJECT, _limit),
    "only added inside": (_PERMITTED, _limit_inside),
    "only dropped": (_ONLY, _drop),
    "exception dropped": (_EXCEPTION, _drop),
    "exception reversed": (_EXCEPT, _include),
}
