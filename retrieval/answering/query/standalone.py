"""Makes a follow-up question self-contained, by rules: it is appended to the question it follows.

Nothing typed is removed, and a question with its own subject is left as it is. The result can always be
searched for, even if a model's rewriting is unusable. A keyword or two ("parking") may be a new subject as
well as a follow-up: only what is found can tell.
"""

import re
from collections.abc import Sequence

from retrieval.answering.grounding.names import names_of
from retrieval.answering.text.lexicon import Language, language_of
from retrieval.answering.text.terms import content_stems, stem
from retrieval.types import Turn

MAX_CHARACTERS = 2000
MAX_LOOKBACK_TURNS = 3  # turns looked back through, when follow-ups follow each other
MAX_FOLLOW_UP_WORDS = 14  # words: a longer question brings its own subject
MIN_SUBJECT_WORDS = (
    3  # words of a subject that "and" does not tie to the question before, nor a pronoun after it
)
_ELLIPTICAL = re.compile(
    r"(?:(?:and|or|but|so|then)\s+)?(?:what about|how about|what if|why not)\b"
    r"|(?:(?:und|oder|aber)\s+)?(?:was ist mit|wie ist es mit|wie sieht es|wenn|warum nicht|wieso nicht)\b",
    re.IGNORECASE,
)
_JOINED = re.compile(r"(?:and|or|but|so|then|und|oder|aber)\b[\s,]*", re.IGNORECASE)
_PREPOSITION = re.compile(
    r"(?:in|on|at|by|for|from|to|with|of|after|before|bis|ab|seit|für|an|auf|mit|von|nach|vor)\s+",
    re.IGNORECASE,
)
_ADDITION = re.compile(
    r"(?:also|only|even|just|except|without|unless|more|less|fewer|longer|shorter|higher|lower|cheaper|earlier|later"
    r"|sooner|faster|better|larger|bigger|smaller|auch|nur|sogar|außer|ohne|mehr|weniger|länger|kürzer|höher"
    r"|niedriger|billiger|günstiger|früher|später|schneller|besser|größer|kleiner)\b",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"(?:please\s+|bitte\s+)?(?:compare|summari[sz]e|sum up|tl;?dr|list|show|find|open|vergleiche?n?"
    r"|fasse?n?|liste|zeigen?|finden?|öffnen?)\b",
    re.IGNORECASE,
)
MAX_FRAGMENT_WORDS = 3
_CLAUSE = re.compile(
    rf"(?:{_PREPOSITION.pattern})?(?:how|what|which|who|whom|whose|"
    r"when|where|why|do|does|did|is|are|can|could|may|must|should|will|would|was|wie|welche[rsnm]?|wer|wen|wem|"
    r"wann|wo|wohin|woher|warum|kann|darf|muss|gibt|sind|ist|habe|bekomme)\b",
    re.IGNORECASE,
)
_EXPLETIVE = re.compile(
    r"\b(?:is|was|would|will|does|can|how long does|what does)\s+it\s+(?:be\s+)?(?:possible|necessary|"
    r"allowed|okay|ok|true|required|take|mean|cost|safe|legal|permitted)\b[^?]*\b(?:to|that|if)\b"
    r"|\b(?:this|these) (?:year|week|month|quarter|page|company|organi[sz]ation|office|handbook|days|time|"
    r"morning|afternoon|summer|winter)\b"
    r"|\b(?:is|are|was|were) there\b|\bthere (?:is|are|was|were)\b|\binstead of\b"
    r"|\bgibt es\b|\bist es (?:möglich|erlaubt|nötig)\b|\bes (?:gibt|geht um)\b"
    r"|\bdiese[nmrs]? (?:jahr|woche|monat|quartal|tage|firma|handbuch)\w*\b",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|the same|that one|those ones|there|instead"
    r"|er|ihn|ihm|es|ihnen|(?-i:sie)|deren|dessen|dort|davon|dafür|dazu|damit|dagegen|darüber|stattdessen|derselbe"
    r"|dasselbe)\b|\bthe (?:other |free |next |last |first |second |new |old )?ones?\b"
    r"|\b(?:must|does|do|did|is|are|was|were|can|could|will|would|should|may|of|for|about|with|to|from"
    r"|after|before) (?:this|that|these|those)\b(?=\s*(?:$|[?.!,]|\w+\s*[?.!]*$))"
    r"|\bthat\b(?=\s*(?:$|[?.!,]|also\b|too\b))"
    r"|(?:\b(?:this|these|those|das|dies|diese|dieser|dieses)|^that)\b(?=\s*(?:$|[?.!,]|is\b|are\b|was\b|were\b|do\b"
    r"|does\b|apply\b|applies\b|work\b|works\b|mean\b|also\b|too\b|ist\b|sind\b|gilt\b|gelten\b|auch\b|too\b))"
    r"|\b(?:this|these|those) [a-z]{3,}|\b(?:does|do|did|can|will|must|should) that [a-z]{3,}",
    re.IGNORECASE,
)
_GENERIC_EN = """allow amount apply approval approve approved available change cost count days deadline
deadlines do done eligible end ends exception exceptions fee figure form forms happen happens hour hours
last lasts late length limit long many maximum minimum minutes money month months much need notice number
often paperwork people person possible price process request require required requirement requirements
responsible rule rules start starts step steps submit take takes time times total use used valid weeks year
years unused left needed far soon early details detail difference reason reasons work works next other
others"""
_GENERIC_DE = """anzahl antrag antragen ablauf ausnahme ausnahmen beantragen bedingungen betrag braucht
dauer dauert erlaubt formular formulare frist fristen genehmigen genehmigt genehmigung gilt gültig höchstens
kosten kostet lange limit maximal mindestens möglich nötig oft regeln stunden tage übrig verantwortlich
verfahren viel viele wochen zahl zeit zuständig hoch preis grund gründe schritte jahr jahre monate
geändert"""
_GENERIC: dict[Language, frozenset[str]] = {
    "en": frozenset(stem(word, "en") for word in _GENERIC_EN.split()),
    "de": frozenset(stem(word, "de") for word in _GENERIC_DE.split()),
}
"""Stems of words that fit any subject: a question of only these takes its subject from before."""
_TIME_OFF = re.compile(
    r"\b(?:time off|over ?time|part[ -]time|full[ -]time|working (?:time|hours))\b", re.IGNORECASE
)


def build_standalone_question(question: str, history: Sequence[Turn], *, follows: bool = False) -> str:
    """Return the question with its context before it. It ends with the question as typed.

    `follows`: the question is a follow-up, regardless of its words.
    """
    parts = [_normalize(question)]
    for turn in reversed(history[-MAX_LOOKBACK_TURNS:]):
        if not (is_follow_up(parts[0]) or (follows and len(parts) == 1)):
            break
        parts.insert(0, _normalize(turn.question))
    joined = " ".join(part for part in parts if part)
    return joined if len(joined) <= MAX_CHARACTERS else parts[-1]


def is_follow_up(question: str) -> bool:
    """Return whether the question takes its subject from the one before it."""
    text = question.strip()
    if not text:
        return False
    if _ELLIPTICAL.match(text):
        return True
    if len(text.split()) <= MAX_FOLLOW_UP_WORDS and _refers_back(text):
        return True
    own = subject_stems(text)
    if joined := _JOINED.match(text):
        return len(own) < MIN_SUBJECT_WORDS or not _CLAUSE.match(text[joined.end() :])
    if _PREPOSITION.match(text) and _is_short(text):
        return True
    added = _ADDITION.match(text)
    return not own or (added is not None and _is_short(text[added.end() :]))


def is_fragment(question: str) -> bool:
    """Return whether the question is a keyword or two that may be a subject of its own or belong to the
    question before it: "parking"."""
    text = question.strip()
    return bool(text) and not is_follow_up(text) and not is_command(text) and _is_short(text)


def is_command(question: str) -> bool:
    """Return whether the question begins like a request for documents: "compare prices"."""
    return _COMMAND.match(question.strip()) is not None


def _is_short(text: str) -> bool:
    is_short = len(subject_stems(text)) < 2 and len(text.split()) <= MAX_FRAGMENT_WORDS
    return is_short and not _CLAUSE.match(text) and not _names_subject(text)


def _names_subject(text: str) -> bool:
    """Return whether a name or code is the subject, however short the question: "CEMGSA", "Form 630"."""
    numbered = re.search(r"\d", text) and not _PREPOSITION.match(text)
    return bool(numbered or names_of(text, language_of(text)))


def _refers_back(text: str) -> bool:
    """Return whether it has a pronoun without a preceding subject in the question itself."""
    reference = _REFERENCE.search(plain := _EXPLETIVE.sub(" ", text))
    return reference is not None and len(subject_stems(plain[: reference.start()])) < MIN_SUBJECT_WORDS


def subject_stems(text: str) -> frozenset[str]:
    """Return the stems of the content words that name the subject."""
    language = language_of(text)
    if _TIME_OFF.search(text):
        return content_stems(text, language)
    return content_stems(text, language) - _GENERIC[language]


def _normalize(question: str) -> str:
    return " ".join(question[:MAX_CHARACTERS].split())
