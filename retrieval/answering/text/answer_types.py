"""Expected answer types (an amount, a time span, a year): which one a question asks for, and which a text
has.

English and German. If a question's form does not show its type, any text will do.
"""

import re
from dataclasses import dataclass

from retrieval.answering.text.terms import stem

_NUMBER = (
    r"(?:\d[\d,.]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|eighteen|twenty|thirty|forty|fifty|sixty|ninety|hundred|half|an?"
    r"|eine?[nrs]?|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|hundert)"
)
_PERIOD = (
    r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|quarters?|years?|pay periods?"
    r"|sekunden?|minuten?|stunden?|tag(?:e[ns]?)?|wochen?|monat(?:e[ns]?)?|quartale?|jahr(?:e[ns]?)?)"
)
_SPAN = rf"\b{_NUMBER}[\s-]+(?:\(\d+\)\s*)?(?:\w+[\s-]+)?{_PERIOD}\b|\b{_PERIOD}\b.{{0,12}}\b\d"
_MONTHS = (
    r"(?:january|february|april|june|july|august|september|october|november|december"
    r"|januar|februar|märz|mai|juni|juli|oktober|dezember|march \d|may \d)"
)
_WEEKDAYS = (
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?:mon|diens|donners|frei|sams|sonn)tags?|mittwochs?"
)


@dataclass(frozen=True, slots=True)
class AnswerType:
    name: str
    question_pattern: re.Pattern[str]
    text_pattern: re.Pattern[str]

    def matches(self, text: str) -> bool:
        return self.text_pattern.search(text) is not None


def _answer_type(name: str, question_pattern: str, text_pattern: str) -> AnswerType:
    return AnswerType(
        name, re.compile(question_pattern, re.IGNORECASE), re.compile(text_pattern, re.IGNORECASE)
    )


ANSWER_TYPES = (
    _answer_type(
        "code",
        r"\bwhat(?:['’]s| is) the (?:[\w'’-]+ ){0,6}?(?:password|passcode|code|pin|keycode)\b"
        r"(?! (?:require|length|polic|rule|stand))"
        r"|\bwie lautet (?:das|der|die) (?:[\w-]+ ){0,6}?(?:passwort|kennwort|code|pin)\b",
        r"\b(?=\w*\d)\w{3,}\b|(?:password|code|pin|passwort|kennwort)\s*(?:is|ist|:|=)\s*[\"“„'`]?\S",
    ),
    _answer_type(
        "amount",
        r"\b(?:costs?|prices?|salary|salaries|fees?|wages?|fare|(?:hotel|hourly|daily|going) rate)\b"
        r"|\bhow much (?:does|do|did|will|would|is|are|may|can|could)\b.*\b(?:charge|pay|paid|spend|lunch)\b"
        r"|\bhow (?:many|much) (?:dollars|euros|money)\b|\bin (?:dollars|euros)\b|\bwhat amount\b"
        r"|\b(?:preis|gehalt|gebühr|kosten|kostet|lohn|miete|betrag)\b|\bwie ?viel (?:geld|euro|dollar)\b",
        r"[$€£]\s?\d|\d\s?[$€£]|\d[\d,.]*\s?(?:dollars?|usd|eur|euros?|cents?)\b"
        r"|\bfree\b(?! (?:disk|memory|space|text))|\bno charge\b|\bat no cost\b|\bkostenlos\b",
    ),
    _answer_type(
        "share",
        r"\b(?:what|which) (?:percentage|percent|share|proportion)\b|\bhow many percent\b|\bprozent\b",
        r"\d\s?%|\bpercent|\bpct\b|\bhalf\b|\bprozent|\bhälfte\b",
    ),
    _answer_type(
        "age",
        r"\bwhat age\b|\bhow old\b|\bwelchem alter\b|\bwie alt\b",
        r"\bage[sd]? (?:of )?\d|\d+ years? (?:old|of age)|\b\d\d\b.{0,20}\bage\b|\bage\b.{0,20}\b\d\d\b"
        r"|\balter\b.{0,20}\b\d\d\b|\b\d\d jahre",
    ),
    _answer_type("year", r"\b(?:what|which) year\b|\bwelche[mns]? jahr\b", r"\b(?:19|20)\d\d\b|\bFY ?\d\d\b"),
    _answer_type(
        "clock",
        r"\bwhat time\b|\bwhich hours\b|\btime of (?:the )?day\b|\bopening hours\b"
        r"|\bum wie ?viel uhr\b|\böffnungszeiten\b",
        r"\b\d{1,2}(?::\d\d)?\s?(?:[ap]\.?m\b|[ecmp]t\b|eastern\b|pacific\b|uhr\b)|\b\d{1,2}:\d\d\b|\bnoon\b"
        r"|\bmidnight\b|\bclose of business\b|\bend of (?:the )?day\b|\bmittags?\b|\bmitternacht\b",
    ),
    _answer_type(
        "frequency",
        r"\bhow (?:often|frequently)\b|\bfrequency\b|\bwie oft\b|\bwie häufig\b",
        r"\b(?:daily|weekly|bi-?weekly|monthly|quarterly|annual(?:ly)?|yearly|twice|once|every|each|per|hourly"
        rf"|täglich|wöchentlich|monatlich|jährlich|jede[nrms]?|pro|einmal|zweimal)\b|{_SPAN}",
    ),
    _answer_type(
        "span",
        r"\bhow (?:long|soon|quickly|far in advance|far ahead|much (?:time|notice|advance|lead time))\b"
        r"|\b(?:minimum|shortest|longest|maximum) (?:time|notice|stay|period|duration)\b|\blength of\b"
        r"|\bwie (?:lange|schnell|bald)\b",
        rf"{_SPAN}|\b\d+ (?:characters?|digits?|pages?|zeichen|seiten)\b|\bimmediately\b|\bsofort\b"
        r"|\bsame day\b|\bovernight\b",
    ),
    _answer_type(
        "contact",
        r"\b(?:phone|telephone|fax) numbers?\b|\bwhat number\b|\btelefonnummer\b",
        r"(?:\d[\s().-]*){7,}",
    ),
    _answer_type("address", r"\be-?mail address\b|\bwhat e-?mail\b|\bmailadresse\b", r"\S@\S"),
    _answer_type(
        "number",
        r"\bhow many\b|\bup to what\b|\bwhat is the (?:maximum|minimum|max|min)\b|\bhow much\b"
        r"|\bwie ?viele?\b|\bbis zu welche[mnr]\b",
        rf"\b\d|\b(?!an?\b){_NUMBER}\b",
    ),
    _answer_type(
        "date",
        r"^\W*when\b|\b(?:what|which) (?:date|day)\b|\bby when\b|\blast date\b|\bdeadline\b"
        r"|^\W*(?:ab |bis )?wann\b|\ban welchem (?:tag|datum)\b",
        rf"\b{_MONTHS}\b|\b(?:19|20)\d\d\b|\d/\d|\b(?:{_WEEKDAYS})\b"
        r"|\b(?:end|start|beginning|first|last) of\b"
        r"|\b(?:within|before|after|by the|prior to|once|every|until|during)\b"
        r"|\b(?:ende|anfang|innerhalb|vor|nach|bis|jede[nrms]?|während|sobald)\b",
    ),
)
_NUMBER_TYPE = next(answer_type for answer_type in ANSWER_TYPES if answer_type.name == "number")
_MONEY = re.compile(r"dollars|euros|cents|percent|prozent", re.IGNORECASE)
_COUNTED = re.compile(
    r"\b(?:how many|wie ?viele?) ((?:[^\W\d_][\w'-]* ){0,2}?(?:[^\W\d_][\w'-]*(?:s|en?)|people|staff))\b",
    re.IGNORECASE,
)
_BETWEEN = r"(?:\W+[\w'-]+){0,3}?\W+"
_STEM_LETTERS = 5


def expected_answer_type(question: str) -> AnswerType | None:
    """Return the type that the question asks for. "How many days …" is a number, not an amount."""
    count = _COUNTED.search(question)
    if count and not _MONEY.fullmatch(count[1].split()[-1]):
        return _NUMBER_TYPE
    return next(
        (answer_type for answer_type in ANSWER_TYPES if answer_type.question_pattern.search(question)), None
    )


def counted_noun_pattern(question: str) -> re.Pattern[str] | None:
    """Return a pattern for a number a few words before what the question counts: "hours" in "How many paid
    hours …?"."""
    match = _COUNTED.search(question)
    if match is None:
        return None
    noun = re.escape(stem(match[1].split()[-1], "en")[:_STEM_LETTERS])
    return re.compile(rf"\b{_NUMBER}\b{_BETWEEN}{noun}", re.IGNORECASE)
