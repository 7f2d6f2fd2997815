"""Cuts a question that asks several things into its parts, by rules for English and German.

A cut needs a question on both sides: two that follow each other, items of a list, or a conjunction with a
question word or an inverted verb behind it. A conjunction inside one question ("terms and conditions", "how
and when") cuts nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retrieval.answering.blocks import is_bulleted, strip_bullet
from retrieval.answering.lexicon import Language, language_of
from retrieval.answering.sentences import split
from retrieval.answering.standalone import leans_back, standalone_question
from retrieval.answering.terms import content_stems
from retrieval.types import Turn

MOST_PARTS = 4  # what is asked beyond stays with the last part
LONGEST = 2000  # characters; a longer text is not taken apart
ENUMERATED = 3  # words, at most, of a member of an enumeration
LONGEST_SUBJECT = 6  # words that may take a pronoun's place

_AUX = "do|does|did|is|are|was|were|am|can|could|may|might|must|should|will|would|shall|have|has|had|need"
_VERB_DE = (
    "kann|können|könnte|darf|dürfen|muss|müssen|soll|sollen|ist|sind|war|habe|haben|hat|wird|werden|werde|gibt|"
    "gilt|gelten|bekomme|bekommt|bekommen|brauche|braucht|brauchen|erhalte|erhält|erhalten|steht|stehen|mache"
)
_WHO_DE = "ich|wir|man|er|sie|es|das|die|der|den|ein|eine|einen|mein|meine|meinen|auch"
_WHO_EN = (
    "i|we|you|they|he|she|it|there|one|the|an?|my|our|your|this|that|these|those|someone|somebody|anyone|"
    "employees|staff|people|contractors"
)
_PREPOSITION = (
    "in|on|at|by|for|from|to|with|of|until|since|bis|ab|seit|für|an|auf|mit|von|nach|bei|zu|in|um|aus"
)
_CONJUNCTION = r"(?:and|und|sowie|or|oder)\s+(?:also\s+|then\s+|auch\s+|dann\s+)?"


@dataclass(frozen=True, slots=True)
class _Grammar:
    """Where a question may begin behind a conjunction, and whether a text asks at all."""

    breaks: re.Pattern[str]
    asks: re.Pattern[str]


def _grammar(was: str) -> _Grammar:
    asking_de = (
        rf"wie|wieviel{was}|welche[rsnm]?|wessen|wer|wen|wem|wann|wo|wohin|woher|warum|wieso|weshalb|womit|"
        r"wofür"
    )
    inverted = rf"(?:{_AUX})(?:n't)?\s+(?:{_WHO_EN})\b|(?:{_VERB_DE})\s+(?:{_WHO_DE})\b"
    opening = (
        rf"(?:(?:{_PREPOSITION})\s+)?(?:(?:how|what|which|whose|whom|why|who)\b"
        rf"|(?:when|where)\s+(?:{_AUX})\b|(?:{asking_de})\b|{inverted})"
    )
    in_list = rf"(?:(?:how|what|why)\b|when\s+(?:{_AUX})\b|(?:wie{was}|wann|warum|welche[rsnm]?)\b)"
    return _Grammar(
        breaks=re.compile(
            rf",?\s+{_CONJUNCTION}(?={opening})|[,;]\s+(?={in_list})|;\s+(?={opening})", re.IGNORECASE
        ),
        asks=re.compile(
            rf"\b(?:how|what|which|whose|whom|why|{asking_de})\b|\b(?:when|where)\s+(?:{_AUX})\b"
            rf"|(?:^|[,:.]\s+)(?:who\b|(?:{_AUX})\s+\w|(?:{_VERB_DE})\s+(?:{_WHO_DE})\b)",
            re.IGNORECASE,
        ),
    )


_GRAMMARS: dict[Language, _Grammar] = {"en": _grammar(""), "de": _grammar("|was")}
_HAS_VERB = re.compile(rf"^\s*(?:who|wer)\b|\b(?:{_AUX}|{_VERB_DE})\b", re.IGNORECASE)
_RELATIVE = re.compile(r"(who|which|whose|whom)\b", re.IGNORECASE)
_SIZES = frozenset(
    {"long", "mani", "often", "far", "soon", "much", "earli", "lang", "viel", "oft", "weit", "fruh"}
)
_TWICE = re.compile(
    r"(?P<head>[^?]*?\S)\s+(?P<preposition>for|für)\s+(?P<first>[^?,]+?),?\s+(?:and|und)\s+(?P=preposition)\s+"
    r"(?P<second>[^?,]+?)\s*\?*",
    re.IGNORECASE,
)
_TOGETHER = re.compile(
    r"\b(?:both|together|same|at once|combined|difference|differ|compare\w*|versus|vs|between|better|"
    r"zusammen|gleich\w*|beide\w*|unterschied\w*|zwischen)\b",
    re.IGNORECASE,
)
_YES_NO = re.compile(rf"\s*(?:{_AUX}|{_VERB_DE})\b", re.IGNORECASE)
_STATED = re.compile(r"(?P<stated>[^?:]{3,}:)\s+(?=\S)")
_POLITE = re.compile(
    r"(?:(?:hi|hello|hey|dear|good (?:morning|afternoon|day)|hallo|guten (?:morgen|tag)|liebe[rs]?|thanks|"
    r"thank you|danke|many thanks|vielen dank)\b[^?]{0,40}"
    r"|(?:please |bitte )?(?:tell me|let me know|sag mir|sagen sie mir|i (?:would like|want|need) to know|"
    r"ich möchte wissen|ich habe (?:zwei|drei|mehrere) fragen|i have (?:two|three|some|a few) questions)"
    r"[^?\w]*)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\b(?:how many|how much|which|what|wie ?viele?|welche[rsnm]?)\s+"
    rf"(?P<subject>(?:[\w'’-]+\s+){{1,{LONGEST_SUBJECT}}}?)(?:{_AUX}|{_VERB_DE})\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:(?i:it|them|they|those|these|ihn|ihm)|sie)\b(?=\s*(?:[?.!,]|$|\w))")
_LEAN_DE = re.compile(r"\bsie\b(?!\s+(?:ist|sind|hat|haben)\s+\w+\s)")


@dataclass(frozen=True, slots=True)
class Part:
    """`text`: as the asker put it. `query`: stands by itself; it is searched, judged and answered."""

    text: str
    query: str


def parts_of(question: str, history: Sequence[Turn] = ()) -> tuple[Part, ...]:
    """In the order they are asked; one if one thing is asked, which then is the whole question."""
    pieces = _packed(list(_pieces(question))) if len(question) <= LONGEST else []
    if len(pieces) < 2:
        return (Part(question, standalone_question(question, history)),)
    found: list[Part] = []
    for piece in pieces:
        before = [Turn(part.text, "") for part in found]
        found.append(Part(piece, _query(piece, before, history)))
    return tuple(found)


def _query(piece: str, before: Sequence[Turn], history: Sequence[Turn]) -> str:
    if not before:
        return standalone_question(piece, history)
    if not (leans_back(piece) or _LEAN_DE.search(piece)):
        return piece
    return _named(piece, before[-1].question) or standalone_question(piece, [*history, *before])


def _named(piece: str, before: str) -> str:
    """With what "how many …" asked for in place of a pronoun; empty where that cannot be told."""
    subject, pronouns = _SUBJECT.search(before), list(_PRONOUN.finditer(piece))
    if subject is None or len(pronouns) != 1:
        return ""
    start, end = pronouns[0].span()
    named = f"{piece[:start]}{subject['subject'].strip()}{piece[end:]}"
    return "" if leans_back(named) else named


def _packed(pieces: list[str]) -> list[str]:
    kept, rest = pieces[:MOST_PARTS], pieces[MOST_PARTS:]
    return [*kept[:-1], " ".join([*kept[-1:], *rest])] if rest else kept


def _pieces(text: str) -> Iterator[str]:
    """What is only stated belongs to the questions that follow it, or else to the last one."""
    stated, fresh, held = "", False, ""
    for segment in _segments(text):
        if not _asks(segment):
            if _POLITE.fullmatch(segment.strip()):
                continue
            stated = f"{stated} {segment}" if fresh else segment
            fresh = True
            continue
        for clause in _clauses(segment):
            if held:
                yield held
            held, fresh = _as_question(f"{stated} {clause}"), False
    if held:
        yield f"{held} {stated.strip()}" if fresh else held


def _segments(text: str) -> Iterator[str]:
    """Sentences and items of lists. What leads into a list of things goes before each of them; it is a
    sentence if none follow."""
    lead = pending = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        item = strip_bullet(line)
        if is_bulleted(line) and lead and not _asks(item):
            pending = ""
            yield f"{lead} {item}"
            continue
        if pending:
            yield pending
        sentences = list(_sentences(item)) or [item]
        lead = sentences.pop().rstrip(": ") if sentences[-1].endswith(":") and _asks(sentences[-1]) else ""
        pending = lead
        for sentence in sentences:
            stated = _STATED.match(sentence)
            if stated and not _asks(stated["stated"]) and _asks(sentence[stated.end() :]):
                yield stated["stated"]
                sentence = sentence[stated.end() :]
            yield sentence
    if pending:
        yield pending


def _sentences(text: str) -> Iterator[str]:
    """A question mark ends one whatever follows it: questions are typed without capitals, too."""
    for unit in split(text):
        yield from re.split(r"(?<=\?)\s+", text[unit.start : unit.end])


def _clauses(sentence: str) -> list[str]:
    """A comma alone only cuts where a conjunction does as well: it mostly opens a subordinate clause."""
    breaks = [
        match
        for match in _GRAMMARS[language_of(sentence)].breaks.finditer(sentence)
        if len(sentence[match.end() :].split()) > 1
    ]
    if not any(not match.group().startswith(",") or len(match.group().split()) > 1 for match in breaks):
        breaks = []
    found, start = list[str](), 0
    for match in breaks:
        before = sentence[start : match.start()]
        if _is_whole(before) and _goes_on(before, sentence[match.end() :]):
            found.append(before)
            start = match.end()
    found.append(sentence[start:])
    return found if len(found) > 1 else _twice(sentence)


def _twice(sentence: str) -> list[str]:
    """ "Whom do I ask for a laptop and for a phone?" asks the same of two things."""
    match = _TWICE.fullmatch(sentence.strip())
    if match is None or _TOGETHER.search(sentence) or _YES_NO.match(sentence) or not _asks(match["head"]):
        return [sentence]
    head, preposition = match["head"], match["preposition"]
    return [f"{head} {preposition} {match['first']}", f"{head} {preposition} {match['second']}"]


def _asks(text: str) -> bool:
    return text.rstrip().endswith("?") or _GRAMMARS[language_of(text)].asks.search(text) is not None


def _is_whole(text: str) -> bool:
    """Not just "how long" before "and how often"."""
    words = text.split()
    long_enough = len(words) >= 4 or (len(words) == 3 and _HAS_VERB.search(text) is not None)
    return long_enough and _has_subject(text) and _asks(text)


def _goes_on(before: str, text: str) -> bool:
    """A question of its own, not a second relative clause ("people who travel and who are ill") nor the end
    of an enumeration ("between them, me, and what lies ahead")."""
    relative = _RELATIVE.match(text)
    if relative and re.search(rf"\b(?!(?:{_PREPOSITION})\b)\w+\s+{relative[1]}\b", before, re.IGNORECASE):
        return False
    last = before.rpartition(",")
    if last[1] and len(last[2].split()) <= ENUMERATED and not _HAS_VERB.search(last[2]):
        return False
    return _has_subject(text) or leans_back(text)


def _has_subject(text: str) -> bool:
    return bool(content_stems(text, language_of(text)) - _SIZES)


def _as_question(text: str) -> str:
    plain = " ".join(text.split()).rstrip(",;.:?! ")
    return f"{plain[:1].upper()}{plain[1:]}?"
