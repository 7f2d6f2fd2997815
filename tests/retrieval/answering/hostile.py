"""Text that a model may generate but must not pass: near misses of passages, and garbage."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from retrieval.answering.text.blocks import Shape, sentences_in, split_blocks
from retrieval.types import Hit
from tests.retrieval.answering.builders import LEAVE, TRAVEL, make_hit

BADGES = (
    "Badges are issued by the Security Office on Tuesday and Thursday between 9 a.m. and "
    "11:30 a.m. Visitors may wait in the lobby. A lost badge must be reported to Maria "
    "Okonkwo within 24 hours. Badges issued before January 15, 2024 are valid until June "
    "30, 2026. Contractors do not receive a badge with door access."
)
LEVELS = (
    "Leave depends on the level of the employee:\n\nLevel | Days per year | Approved "
    "by\nJunior | 20 days | Ana Lopez\nSenior | 26 days | Piet Vries\nDirector | 30 days | "
    "Board"
)
SETUP = (
    "Install the client with the package manager before the first shift.\n\n"
    "Run these commands:\n\npip install vpn-client==3.2\nvpn login --user"
)
HITS = (
    make_hit(LEAVE),
    make_hit(TRAVEL, title="Travel"),
    make_hit(BADGES, title="Badges", section=("Access", "Cards")),
    make_hit(LEVELS, title="Levels"),
    make_hit(SETUP, title="Remote work"),
)

_SWAPS: dict[str, tuple[tuple[str, str], ...]] = {
    "unit": (
        (r"\bdays?\b", "weeks"),
        (r"\bhours?\b", "days"),
        (r"\bminutes?\b", "hours"),
        (r"\byears?\b", "months"),
        (r"\bweeks?\b", "months"),
        (r"\bmonths?\b", "years"),
        (r"\$(?=\d)", "€"),
        (r"%", " days"),
        (r"\bTagen\b", "Wochen"),
        (r"\bEuro\b", "Dollar"),
        (r"\bpercent\b", "dollars"),
    ),
    "month": (
        (r"\bJanuary\b", "October"),
        (r"\bFebruary\b", "July"),
        (r"\bMarch(?= \d)", "August"),
        (r"\bApril\b", "June"),
        (r"\bJune\b", "November"),
        (r"\bJuly\b", "April"),
        (r"\bAugust\b", "February"),
        (r"\bSeptember\b", "April"),
        (r"\bOctober\b", "March"),
        (r"\bNovember\b", "July"),
        (r"\bDecember\b", "August"),
        (r"\bMai\b", "Juli"),
    ),
    "weekday": (
        (r"\bMonday\b", "Saturday"),
        (r"\bTuesday\b", "Sunday"),
        (r"\bWednesday\b", "Saturday"),
        (r"\bThursday\b", "Saturday"),
        (r"\bFriday\b", "Sunday"),
    ),
    "time": ((r"(?<=\d) a\.m\.", " p.m."), (r"(?<=\d) p\.m\.", " a.m."), (r"(?<=\d)am\b", "pm")),
    "denial dropped": (
        (r"\bmust not\b", "must"),
        (r"\bmay not\b", "may"),
        (r"\bdo not\b", "do"),
        (r"\bdoes not\b", "does"),
        (r"\bis not\b", "is"),
        (r"\bare not\b", "are"),
        (r"\bcannot\b", "can"),
        (r"\bshould not\b", "should"),
        (r"\bwill not\b", "will"),
        (r"\bcan't\b", "can"),
        (r"\bdon't\b", "do"),
        (r"\bnot\b ", ""),
        (r"\bnever\b ", ""),
        (r"\bnicht\b ", ""),
    ),
    "denial added": (
        (r"\bmust\b(?! not)", "must not"),
        (r"\bis\b(?! not)", "is not"),
        (r"\bare\b(?! not)", "are not"),
        (r"\bmay\b(?! not)", "may not"),
        (r"\bcan\b(?! not)", "cannot"),
        (r"\bwill\b(?! not)", "will not"),
        (r"\bshould\b(?! not)", "should not"),
        (r"\bearn\b", "do not earn"),
        (r"\bwerden\b(?! nicht)", "werden nicht"),
    ),
    "duty": (
        (r"\bmay\b(?! not)", "must"),
        (r"\bcan\b(?! not)", "must"),
    ),
    "opposite": (
        (r"\bup to\b", "at least"),
        (r"\bbefore\b(?! or after)", "after"),
        (r"\bafter\b", "before"),
        (r"\bat least\b", "at most"),
        (r"\bmore than\b", "less than"),
        (r"\bhöchstens\b", "mindestens"),
        (r"\bvor\b", "nach"),
        (r"\bless than\b", "more than"),
        (r"\bmaximum\b", "minimum"),
    ),
}
_STRANGERS = ("Alex", "Nguyen", "Boise", "Kowalski")


@dataclass(frozen=True, slots=True)
class Mutant:
    kind: str
    text: str
    original: str


def sentences_of(hits: Sequence[Hit]) -> list[str]:
    return [
        hit.text[span.start : span.end]
        for hit in hits
        for block in split_blocks(hit.text)
        if block.shape is not Shape.TABLE
        for span in sentences_in(hit.text, block)
    ]


def mutants(sentence: str, random: Random, others: Sequence[str] = ()) -> Iterator[Mutant]:
    """Return sentences with another meaning that no passage states.

    `others`: figures and names elsewhere in the passages.
    """
    for kind, swaps in _SWAPS.items():
        for pattern, replacement in swaps:
            if re.search(pattern, sentence):
                yield Mutant(kind, re.sub(pattern, replacement, sentence, count=1), sentence)
    for match in re.finditer(r"(?<![\w.,-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w-]|[.,]\d)", sentence):
        figures = [str(random.randint(33, 999)), *(other for other in others if other[0].isdigit())]
        for figure in figures[:4]:
            if figure.lstrip("0") != match.group().lstrip("0"):
                yield Mutant("figure", _put(sentence, match, figure), sentence)
    for match in re.finditer(r"(?<=[a-z] )[A-Z][a-z]{2,}", sentence):
        for name in (random.choice(_STRANGERS), *(other for other in others if other[0].isupper())):
            if name not in sentence:
                yield Mutant("name", _put(sentence, match, name), sentence)


def _put(sentence: str, match: re.Match[str], new: str) -> str:
    return f"{sentence[: match.start()]}{new}{sentence[match.end() :]}"


def others_of(sentences: Sequence[str]) -> list[str]:
    """Return the figures and names in the passages."""
    text = " ".join(sentences)
    figures = re.findall(r"(?<![\w.,-])\d{1,3}(?![\w-]|[.,]\d)", text)
    return [*dict.fromkeys(figures), *dict.fromkeys(re.findall(r"(?<=[a-z] )[A-Z][a-z]{3,}", text))]
