"""Splits a compound question into sub-questions, by rules for English and German.

A split needs a question on both sides: two consecutive ones, list items, or a conjunction followed by a
question word or an inverted verb. A conjunction inside one question ("terms and conditions", "how and when")
does not split it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retrieval.answering.query.standalone import build_standalone_question, is_follow_up, is_fragment
from retrieval.answering.text.blocks import is_bulleted, strip_bullet
from retrieval.answering.text.lexicon import Language, language_of
from retrieval.answering.text.sentences import split_sentences
from retrieval.answering.text.terms import content_stems
from retrieval.types import Turn

MAX_PARTS = 4  # the rest of the question stays with the last part
MAX_CHARACTERS = 2000  # characters; a longer text is not taken apart
MAX_ENUMERATION_WORDS = 3  # words, at most, of a member of an enumeration
MAX_SUBJECT_WORDS = 6  # words that may take a pronoun's place

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
    """Patterns for where a question may begin after a conjunction, and whether a text is a question."""

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
    rf"(?P<subject>(?:[\w'’-]+\s+){{1,{MAX_SUBJECT_WORDS}}}?)(?:{_AUX}|{_VERB_DE})\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:(?i:it|them|they|those|these|ihn|ihm)|sie)\b(?=\s*(?:[?.!,]|$|\w))")
_LEAN_DE = re.compile(r"\bsie\b(?!\s+(?:ist|sind|hat|haben)\s+\w+\s)")


@dataclass(frozen=True, slots=True)
class SubQuestion:
    """One of the questions. `text` is as typed; `query` is self-contained: it is searched, judged and
    answered. `joined`: the query to try instead if the documents don't answer `query`; empty for none."""

    text: str
    query: str
    joined: str = ""


def split_question(question: str, history: Sequence[Turn] = ()) -> tuple[SubQuestion, ...]:
    """Return the sub-questions in order; a simple question as a whole."""
    pieces = _merge_surplus(list(_split_pieces(question))) if len(question) <= MAX_CHARACTERS else []
    if len(pieces) < 2:
        return (_build_only_question(question, history),)
    found: list[SubQuestion] = []
    for piece in pieces:
        before = [Turn(part.text, "") for part in found]
        found.append(SubQuestion(piece, _query(piece, before, history)))
    return tuple(found)


def _build_only_question(question: str, history: Sequence[Turn]) -> SubQuestion:
    query = build_standalone_question(question, history)
    joins = bool(history) and is_fragment(question)
    joined = build_standalone_question(question, history, follows=True) if joins else ""
    return SubQuestion(question, query, joined if joined != query else "")


def _query(piece: str, before: Sequence[Turn], history: Sequence[Turn]) -> str:
    if not before:
        return build_standalone_question(piece, history)
    follows = is_follow_up(piece) or is_fragment(piece)
    if not (follows or _LEAN_DE.search(piece)):
        return piece
    return _resolve_pronoun(piece, before[-1].question) or build_standalone_question(
        piece, [*history, *before], follows=follows
    )


def _resolve_pronoun(piece: str, before: str) -> str:
    """Replace a pronoun by the subject of an earlier "how many …"; empty if that is unclear."""
    subject, pronouns = _SUBJECT.search(before), list(_PRONOUN.finditer(piece))
    if subject is None or len(pronouns) != 1:
        return ""
    start, end = pronouns[0].span()
    named = f"{piece[:start]}{subject['subject'].strip()}{piece[end:]}"
    return "" if is_follow_up(named) else named


def _merge_surplus(pieces: list[str]) -> list[str]:
    first, rest = pieces[:MAX_PARTS], pieces[MAX_PARTS:]
    return [*first[:-1], " ".join([*first[-1:], *rest])] if rest else first


def _split_pieces(text: str) -> Iterator[str]:
    """Yield the questions. Statements belong to the question after them, at the end to the last one."""
    stated, fresh, question = "", False, ""
    for segment in _segments(text):
        if not _asks(segment):
            if _POLITE.fullmatch(segment.strip()):
                continue
            stated = f"{stated} {segment}" if fresh else segment
            fresh = True
            continue
        for clause in _clauses(segment):
            if question:
                yield question
            question, fresh = _as_question(f"{stated} {clause}"), False
    if question:
        yield f"{question} {stated.strip()}" if fresh else question


def _segments(text: str) -> Iterator[str]:
    """Yield sentences and list items. A lead-in is repeated before each item of its list; without items it is
    a sentence."""
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
    """Yield sentences. A question mark always ends one: questions are also typed without capitals."""
    for unit in split_sentences(text):
        yield from re.split(r"(?<=\?)\s+", text[unit.start : unit.end])


def _clauses(sentence: str) -> list[str]:
    """Split a sentence. A comma alone only splits where a conjunction does as well: it usually opens a
    subordinate clause."""
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
        if _is_complete(before) and _starts_question(before, sentence[match.end() :]):
            found.append(before)
            start = match.end()
    found.append(sentence[start:])
    return found if len(found) > 1 else _split_objects(sentence)


def _split_objects(sentence: str) -> list[str]:
    """Split "Whom do I ask for a laptop and for a phone?", which asks the same about two things."""
    match = _TWICE.fullmatch(sentence.strip())
    if match is None or _TOGETHER.search(sentence) or _YES_NO.match(sentence) or not _asks(match["head"]):
        return [sentence]
    head, preposition = match["head"], match["preposition"]
    return [f"{head} {preposition} {match['first']}", f"{head} {preposition} {match['second']}"]


def _asks(text: str) -> bool:
    return text.rstrip().endswith("?") or _GRAMMARS[language_of(text)].asks.search(text) is not None


def _is_complete(text: str) -> bool:
    """Return whether the text is a complete question, not just "how long" before "and how often"."""
    words = text.split()
    long_enough = len(words) >= 4 or (len(words) == 3 and _HAS_VERB.search(text) is not None)
    return long_enough and _has_subject(text) and _asks(text)


def _starts_question(before: str, text: str) -> bool:
    """Return whether a new question starts, not a second relative clause ("people who travel and who are
    ill") or the end of an enumeration ("between them, me, and what lies ahead")."""
    relative = _RELATIVE.match(text)
    if relative and re.search(rf"\b(?!(?:{_PREPOSITION})\b)\w+\s+{relative[1]}\b", before, re.IGNORECASE):
        return False
    last = before.rpartition(",")
    if last[1] and len(last[2].split()) <= MAX_ENUMERATION_WORDS and not _HAS_VERB.search(last[2]):
        return False
    return _has_subject(text) or is_follow_up(text) or is_fragment(text)


def _has_subject(text: str) -> bool:
    return bool(content_stems(text, language_of(text)) - _SIZES)


def _as_question(text: str) -> str:
    plain = " ".join(text.split()).rstrip(",;.:?! ")
    return f"{plain[:1].upper()}{plain[1:]}?"
