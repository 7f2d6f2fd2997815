"""Recognises the intent of a message, by rules: list, find, summarise or compare documents.

Only clear patterns count. A message that merely could be one of these stays a question, because a wrong guess
turns a question with an answer into one without. The patterns are in `intents.json`, by language.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from text_to_num import alpha2digit

from cairn.answers import Intent
from cairn.hidden_characters import visible
from retrieval.answering.query.standalone import is_command

MAX_CHARACTERS: Final = 300  # a longer message is a question with its circumstances
MAX_TOPIC_WORDS: Final = 8
MAX_NAME_WORDS: Final = 12
MAX_IMPLICIT_NAME_WORDS: Final = 6
_PATTERNS: Final = Path(__file__).with_suffix(".json")
_FILE: Final = re.compile(
    r"\S\.(?:pdf|docx?|odt|rtf|txt|md|html?|xlsx?|ods|csv|pptx?|odp|epub|eml|msg)$", re.IGNORECASE
)
_QUOTED: Final = re.compile(r"[\"“„«”']\s*([^\"“”„«»]+?)\s*[\"”“»']")
_MACRO: Final = re.compile(r"%(\w+)%")
_END: Final = re.compile(r"[\s?.!…]+$")
_NUMBER: Final = re.compile(r"\d+")
_BARE_NUMBER: Final = re.compile(
    r"(?:(?:that|the one|der|die|dem|das) )?(?:(?:of|from|for|von|aus) )?(\d+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class IntentRequest:
    """A recognised message.

    `topic`: what listed documents are about, or the name of the document to find or summarise. `inside`: the
    knowledge base or folder to list. `period`: since when listed documents were uploaded. `kind`: the word
    for documents, where it tells which ("policies"); empty for documents in general. `explicit`: the message
    names documents as such, so it can't be meant as a question about their content. `refers_back`: the
    document is the one that the last answer cites, unless one is called `topic`; `position`: which of those
    that it cites, counted from 1, or the last for 0. `sides`: what to compare. `sentences`: how long a
    summary may be; None for any length.
    """

    intent: Intent
    topic: str = ""
    inside: str = ""
    period: str = ""
    kind: str = ""
    explicit: bool = False
    refers_back: bool = False
    position: int = 1
    sentences: int | None = None
    sides: tuple[str, ...] = ()


ASK: Final = IntentRequest(Intent.ASK)


@dataclass(frozen=True, slots=True)
class _Grammar:
    """Compiled patterns of one language."""

    language: str
    polite: re.Pattern[str]
    thanks: re.Pattern[str]
    listing: tuple[re.Pattern[str], ...]
    finding: tuple[re.Pattern[str], ...]
    summary: tuple[re.Pattern[str], ...]
    comparison: tuple[re.Pattern[str], ...]
    generic: re.Pattern[str]
    about: re.Pattern[str]
    inside: re.Pattern[str]
    periods: Mapping[str, re.Pattern[str]]
    explicit: re.Pattern[str]
    headed: re.Pattern[str]
    this: re.Pattern[str]
    maybe_this: re.Pattern[str]
    nth: re.Pattern[str]
    article: re.Pattern[str]
    clause: re.Pattern[str]
    joint: re.Pattern[str]


@lru_cache(maxsize=1000)
def recognise_intent(message: str) -> IntentRequest:
    """Return the intent of the message; `ask` unless another one is clear."""
    text = " ".join(visible(message[: MAX_CHARACTERS + 1]).split())
    if len(text) > MAX_CHARACTERS or re.search(r"[?.!]\s+\w", text):
        return ASK
    for grammar in _load_grammars():
        plain = _strip_courtesy(text, grammar)
        for recognise in (_recognise_comparison, _recognise_summary, _recognise_list, _recognise_find):
            if found := recognise(plain, grammar):
                return found
    return ASK


def _strip_courtesy(text: str, grammar: _Grammar) -> str:
    plain = _END.sub("", text)
    plain = grammar.thanks.sub("", plain)
    return _END.sub("", grammar.polite.sub("", plain, count=1))


def _match_any(patterns: Sequence[re.Pattern[str]], text: str) -> Iterator[re.Match[str]]:
    return (found for pattern in patterns if (found := pattern.fullmatch(text)))


def _recognise_list(text: str, grammar: _Grammar) -> IntentRequest | None:
    for found in _match_any(grammar.listing, text):
        groups = found.groupdict()
        generic = grammar.generic.fullmatch(groups["kind"]) is not None
        request = IntentRequest(
            Intent.LIST,
            topic=(groups.get("topic") or "").strip(),
            kind="" if generic else groups["kind"],
            explicit=generic,
        )
        parsed = _parse_tail((groups.get("tail") or "").strip(), request, grammar)
        if parsed and _is_name(parsed.topic, grammar, MAX_TOPIC_WORDS, may_be_empty=True):
            return replace(parsed, topic=_unquote(parsed.topic))
    return None


def _parse_tail(tail: str, request: IntentRequest, grammar: _Grammar) -> IntentRequest | None:
    """Read what follows the word for documents: a period, a place and a topic. None if anything is left."""
    for days, pattern in grammar.periods.items():
        if found := pattern.search(tail):
            tail, request = tail[: found.start()].strip(), replace(request, period=days)
            break
    if not tail:
        return request
    if found := grammar.inside.fullmatch(tail):
        place = _strip_article(found["inside"].strip(), grammar)
        return replace(request, inside=place) if _is_name(place, grammar, MAX_TOPIC_WORDS) else None
    if found := grammar.about.fullmatch(tail):
        return replace(request, topic=found["topic"].strip())
    return None


def _recognise_find(text: str, grammar: _Grammar) -> IntentRequest | None:
    for found in _match_any(grammar.finding, text):
        name = found["name"].strip()
        if explicit := grammar.explicit.fullmatch(name):
            topic = _strip_article(explicit["name"], grammar)
            if _is_name(topic, grammar, MAX_NAME_WORDS):
                return IntentRequest(Intent.FIND, topic=_unquote(topic), explicit=True)
        elif _FILE.search(name):
            return IntentRequest(Intent.FIND, topic=_unquote(name), explicit=True)
        elif grammar.headed.fullmatch(name) and _is_name(name, grammar, MAX_IMPLICIT_NAME_WORDS):
            return IntentRequest(Intent.FIND, topic=_unquote(name), explicit=is_command(text))
    return None


def _recognise_summary(text: str, grammar: _Grammar) -> IntentRequest | None:
    for found in _match_any(grammar.summary, text):
        name, sentences = found["name"].strip(), _parse_length(found.groupdict().get("length"), grammar)
        if position := _parse_position(name, grammar):
            return IntentRequest(
                Intent.SUMMARISE, explicit=True, refers_back=True, position=position[0], sentences=sentences
            )
        plain = _strip_article(name, grammar)
        explicit = grammar.explicit.fullmatch(plain)
        topic = explicit["name"] if explicit else plain
        if _is_name(topic, grammar, MAX_NAME_WORDS):
            refers = grammar.maybe_this.fullmatch(name) is not None
            return IntentRequest(
                Intent.SUMMARISE,
                topic=_unquote(topic),
                explicit=True,
                refers_back=refers,
                sentences=sentences,
            )
    return None


def _parse_position(name: str, grammar: _Grammar) -> tuple[int] | None:
    """Return which of the documents cited before is meant, if the name is only "this" or "the second one"."""
    if grammar.this.fullmatch(name):
        return (1,)
    found = grammar.nth.fullmatch(name)
    return (int(next(key for key, text in found.groupdict().items() if text)[1:]),) if found else None


def _parse_length(text: str | None, grammar: _Grammar) -> int | None:
    """Return a number that is written in digits or words."""
    if not text:
        return None
    digits = text if text.isdigit() else alpha2digit(text, grammar.language, threshold=0)
    return int(digits) if digits.isdigit() and int(digits) else None


def _recognise_comparison(text: str, grammar: _Grammar) -> IntentRequest | None:
    for found in _match_any(grammar.comparison, text):
        first, second = (_strip_article(found[side].strip(), grammar) for side in ("first", "second"))
        ambiguous = grammar.joint.search(second) or (grammar.joint.search(first) is not None)
        if ambiguous or not all(_is_name(side, grammar, MAX_TOPIC_WORDS) for side in (first, second)):
            return None
        return IntentRequest(Intent.COMPARE, sides=_complete(first, second))
    return None


def _complete(first: str, second: str) -> tuple[str, str]:
    """Return both sides with the words that they share: "the 2023 and 2024 policy", "policy 2023 with
    2024"."""
    opening, _, rest = second.partition(" ")
    if _NUMBER.fullmatch(first) and _NUMBER.fullmatch(opening) and rest:
        return f"{first} {rest}", second
    number = _BARE_NUMBER.fullmatch(second)
    if number and not _NUMBER.fullmatch(first) and len(_NUMBER.findall(first)) == 1:
        return first, _NUMBER.sub(number[1], first)
    return first, second


def _is_name(text: str, grammar: _Grammar, most: int, *, may_be_empty: bool = False) -> bool:
    """Return whether the text can be a name or topic. A clause ("the form I need") can't."""
    if not text:
        return may_be_empty
    return len(text.split()) <= most and (
        _QUOTED.fullmatch(text) is not None or not grammar.clause.search(text)
    )


def _strip_article(text: str, grammar: _Grammar) -> str:
    return grammar.article.sub("", text, count=1)


def _unquote(text: str) -> str:
    found = _QUOTED.fullmatch(text.strip())
    return found[1] if found else text.strip(" \"“”„«»'")


@cache
def _load_grammars() -> tuple[_Grammar, ...]:
    data = json.loads(_PATTERNS.read_text(encoding="utf-8"))
    return tuple(_compile(language, entry) for language, entry in data.items())


def _compile(language: str, entry: dict[str, Any]) -> _Grammar:
    words = {**entry["words"], "article": entry["article"]}

    def compile_pattern(pattern: str) -> re.Pattern[str]:
        return re.compile(_MACRO.sub(lambda name: f"(?:{words[name[1]]})", pattern), re.IGNORECASE)

    def all_of(key: str) -> tuple[re.Pattern[str], ...]:
        return tuple(map(compile_pattern, entry[key]))

    added, end = rf"(?:{words['added']})?\s*", entry.get("added_end", "")
    return _Grammar(
        language=language,
        polite=compile_pattern(f"^{entry['polite']}"),
        thanks=compile_pattern(f"{entry['thanks']}$"),
        listing=all_of("list"),
        finding=all_of("find"),
        summary=all_of("summarise"),
        comparison=all_of("compare"),
        generic=compile_pattern("%documents%|%everything%"),
        about=compile_pattern("%about% (?P<topic>.+)"),
        inside=compile_pattern(f"%inside% (?P<inside>.+?)(?:{entry['inside_end']})?"),
        periods={
            days: compile_pattern(rf"(?:^|\s+){added}(?:{period})(?:{end or '(?!)'})?$")
            for days, period in entry["periods"].items()
        },
        explicit=compile_pattern(entry["explicit"]),
        headed=compile_pattern(entry["headed"]),
        this=compile_pattern(entry["this"]),
        maybe_this=compile_pattern(entry["maybe_this"]),
        nth=compile_pattern(entry["nth"]),
        article=compile_pattern(r"^(?:%article%)\s+"),
        clause=compile_pattern(rf"\b(?:{entry['clause']})\b"),
        joint=compile_pattern(rf"\b(?:{entry['joints']})\b"),
    )
