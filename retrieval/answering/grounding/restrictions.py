"""Detects claims that add or drop a restriction ("only", "except") compared with their evidence.

"Only admins get two badges" claims more than "Visitors and admins get two badges", and "Everyone gets two
badges" more than "Only admins get two badges". What follows the restricting word is its focus: the same word
about something else is another restriction. In doubt, a claim counts as unsupported.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from retrieval.answering.grounding.negation import NEGATORS
from retrieval.answering.text.lexicon import Language, language_of
from retrieval.answering.text.terms import WORD, content_stems, coverage, is_content, stem

_IDIOM: Final = re.compile(
    r"\bnot (?:only|just|merely|solely|exclusively)\b|\bnicht (?:nur|allein|bloß|ausschließlich)\b"
    r"|\bread-only\b|\bif only\b|\bonly just\b"
    r"|\bjust (?:as|like|in case|in time|under|over|above|below|before|after|about|around|because|now|then)\b"
    r"|\b(?:have|has|had|having|['’]ve|['’]s) just\b"
    r"|\bjust (?=(?:click|press|choose|open|use|enter|select|ask|call)\b)"
    r"|\baußer (?:haus|betrieb|dienst|kraft|acht|sich)\b|\b(?:leave|left|let) alone\b",
    re.IGNORECASE,
)
_LIMIT: Final = re.compile(
    r"\b(?:only|solely|exclusively|merely|just|sole|exclusive"
    r"|(?:limited|restricted|confined) to|reserved for"
    r"|nur|ausschließlich(?:e[nmrs]?)?|lediglich|bloß|einzig(?:e[nmrs]?)?|alleinig(?:e[nmrs]?)?"
    r"|(?:beschränkt|begrenzt) auf)\b",
    re.IGNORECASE,
)
_NOBODY_BUT: Final = re.compile(r"\b(?:nobody|no one|none|nothing) but\b|\bniemand außer\b", re.IGNORECASE)
_ALL_BUT: Final = re.compile(
    r"\b(all|everyone|everybody|everything|anyone|(?:every|all) \w+) but\b", re.IGNORECASE
)
_LIMIT_BEHIND: Final = re.compile(r"\b(?:alone|allein|vorbehalten)\b", re.IGNORECASE)
"""Limiting words that follow the words they limit."""
_EXCEPTION: Final = re.compile(
    r"\b(?:except(?:ing)?|excluding|other than|apart from|with the exception of|save for|barring|unless"
    r"|außer|ausgenommen|abgesehen von|mit ausnahme|es sei denn|ausser)\b",
    re.IGNORECASE,
)
_UNLESS: Final = re.compile(r"\b(?:unless|es sei denn)\b", re.IGNORECASE)
_NOBODY_ELSE: Final = re.compile(
    r"\b(?:nobody else|no one else|none of the others|no other|nothing else|nowhere else|anyone else"
    r"|niemand sonst|sonst niemand|sonst nichts|kein(?:e[nmrs]?)? andere[nmrs]?|nichts anderes)\b",
    re.IGNORECASE,
)
_CONDITION: Final = re.compile(
    r"\b(?:if|when|where|provided|until|without|as long as|wenn|falls|sofern|solange|bis|ohne|soweit)\b",
    re.IGNORECASE,
)
_UNIVERSAL: Final = re.compile(
    r"\b(?:everyone|everybody|anyone|anybody|all|every|each|any|always|anywhere|everywhere|whoever"
    r"|alle[nmrs]?|jede[nmrs]?|jedermann|sämtliche[nmrs]?|immer|überall|jederzeit)\b",
    re.IGNORECASE,
)
_PART: Final = re.compile(r"[;:.!?()\n–—|]|\s-\s|,\s(?=and\b|but\b|while\b|und\b|aber\b|während\b)")
_CLAUSE: Final = re.compile(
    r"[,;:.!?()\n–—|]|\s-\s"
    r"|\b(?:and|but|or|while|because|although|though|which|who|that|unless"
    r"|und|aber|sondern|oder|weil|obwohl|während|dass|es sei denn)\b",
    re.IGNORECASE,
)
_PREPOSITION: Final = re.compile(
    r"\b(?:by|in|on|with|for|to|from|at|after|before|during|within|via|through|of|under"
    r"|durch|mit|für|im|am|an|auf|aus|bei|nach|vor|von|vom|zu|zum|zur|über|unter|während|beim)\b",
    re.IGNORECASE,
)
_MIN_SHARED_STEMS: Final = 0.5
"""Share of a claim's stems that a clause must have to be the one that the claim follows."""


@dataclass(frozen=True, slots=True)
class _Clause:
    """`focus`: the stems that a limiting word is about, phrase by phrase.

    `whole`: all stems, and `stems` those before an exception.
    `opens`: the limiting word comes first, so it restricts the subject of the clause.
    `excepted`: the first stem behind a word such as "except".
    """

    stems: frozenset[str]
    whole: frozenset[str]
    universal: bool
    denied: bool
    limited: bool = False
    focus: tuple[frozenset[str], ...] = ()
    opens: bool = False
    excepted: frozenset[str] = frozenset()

    @property
    def first(self) -> frozenset[str]:
        return self.focus[0] if self.focus else frozenset()


def restricts_otherwise(claim: str, sentences: Sequence[str], language: Language) -> bool:
    """Return whether the claim adds or drops a restriction compared with the evidence, `sentences` in
    `language`."""
    around = _plain(" ".join(sentences))
    plain_claim = _plain(claim)
    evidence = [_plain(sentence) for sentence in sentences]
    if plain_claim.strip() in [sentence.strip() for sentence in evidence]:
        return False
    parts = [part for part in _PART.split(plain_claim) if part.strip()]
    pairs = [(part, _most_alike(part, evidence, plain_claim, language)) for part in parts]
    if any(_adds_restriction(part, sentence, around) for part, sentence in pairs):
        return True
    stems = content_stems(plain_claim, language)
    shared = coverage(stems, content_stems(around, language))
    if language_of(claim) != language and shared < _MIN_SHARED_STEMS:  # words cannot be compared
        return False
    return _drops_unless(plain_claim, evidence, language) or any(
        _differs(part, sentence, language, restricted=_is_restricted(plain_claim)) for part, sentence in pairs
    )


def _most_alike(part: str, sentences: Sequence[str], claim: str, language: Language) -> str:
    part_stems, claim_stems = content_stems(part, language), content_stems(claim, language)

    def likeness(sentence: str) -> tuple[int, int]:
        stems = content_stems(sentence, language)
        return len(part_stems & stems), len(claim_stems & stems)

    return max(sentences, key=likeness, default="")


def _differs(part: str, sentence: str, language: Language, *, restricted: bool) -> bool:
    evidence = list(_clauses(sentence, language))
    return any(
        _limits_something_else(clause, evidence) or (not restricted and _drops(clause, evidence))
        for clause in _clauses(part, language)
    )


def _plain(text: str) -> str:
    """Remove idioms that restrict nothing, and reduce phrases for a restriction to one word."""
    text = _NOBODY_BUT.sub(" only ", _IDIOM.sub(" ", text))
    return _ALL_BUT.sub(r"\1 except", text)


def _is_restricted(text: str) -> bool:
    return any(pattern.search(text) for pattern in (_LIMIT, _LIMIT_BEHIND, _EXCEPTION))


def _adds_restriction(claim: str, sentence: str, around: str) -> bool:
    """Return whether the claim adds a restriction. The evidence may express it differently: "nobody else", or
    "not … without"."""
    if not _is_restricted(claim) or _is_restricted(sentence) or _NOBODY_ELSE.search(around):
        return False
    denied = any(word.casefold() in NEGATORS for word in WORD.findall(sentence))
    return not (denied and _CONDITION.search(sentence))


def _limits_something_else(clause: _Clause, evidence: list[_Clause]) -> bool:
    """Return whether claim and evidence are both limited, but not to the same."""
    limited = [each for each in evidence if each.limited]
    if not clause.limited or not clause.first or not limited or not any(each.focus for each in limited):
        return False
    targets = frozenset[str]().union(*(_limit_targets(each) for each in limited))
    return clause.first.isdisjoint(targets)


def _limit_targets(clause: _Clause) -> frozenset[str]:
    """Return the words that a limit may refer to. "Only admins get badges" limits the admins, not the
    badges."""
    return clause.first if clause.opens else frozenset[str]().union(*clause.focus)


def _drops(clause: _Clause, evidence: list[_Clause]) -> bool:
    """Return whether the claim follows a restricted clause but is about others than those it is restricted
    to."""
    near = _nearest(clause, evidence)
    if near is None:
        return False
    if near.excepted and not clause.denied and not near.denied:
        return clause.universal or bool(clause.stems & near.excepted - near.stems)
    if not near.limited or not near.focus or clause.denied != near.denied:
        return False
    if clause.universal and not near.universal:
        return True
    return any(part.isdisjoint(clause.stems) for part in near.focus[: 1 if near.opens else 2])


def _nearest(clause: _Clause, evidence: list[_Clause]) -> _Clause | None:
    """Return the most similar clause; None if none is similar or several are equally so."""
    shared = sorted(((len(clause.stems & each.whole), n) for n, each in enumerate(evidence)))
    if not shared or shared[-1][0] < max(1, _MIN_SHARED_STEMS * len(clause.stems)):
        return None
    if len(shared) > 1 and shared[-2][0] == shared[-1][0]:
        return None
    return evidence[shared[-1][1]]


def _drops_unless(claim: str, sentences: Sequence[str], language: Language) -> bool:
    """Return whether a condition is gone: "You may park here unless the barrier is down" became "You may park
    here"."""
    sentence = _most_alike(claim, sentences, claim, language)
    parts = _UNLESS.split(sentence, maxsplit=1)
    if len(parts) == 1 or _is_restricted(claim) or _CONDITION.search(claim):
        return False
    before = next((each for each in reversed(list(_clauses(parts[0], language)))), None)
    stems = content_stems(claim, language)
    return before is not None and bool(stems) and len(stems & before.stems) > _MIN_SHARED_STEMS * len(stems)


def _clauses(text: str, language: Language) -> Iterator[_Clause]:
    for part in _CLAUSE.split(text):
        if part.strip():
            yield _clause(part, language)


def _clause(text: str, language: Language) -> _Clause:
    main_part, _, excepted = _partition(text, _EXCEPTION)
    universal = _UNIVERSAL.search(text) is not None
    denied = any(word.casefold() in NEGATORS for word in WORD.findall(main_part))
    stems, without = content_stems(main_part, language), frozenset(_stems(excepted, language)[:1])
    whole = content_stems(text, language)
    if found := _LIMIT.search(main_part):
        before, after = main_part[: found.start()], main_part[found.end() :]
        opens = not content_stems(before, language)
        focus = tuple(_focus(after, language, opens=opens))
        return _Clause(stems, whole, universal, denied, True, focus, opens, without)
    if found := _LIMIT_BEHIND.search(main_part):
        focus = (content_stems(_PREPOSITION.split(main_part[: found.start()])[-1], language),)
        return _Clause(stems, whole, universal, denied, True, focus, False, without)
    return _Clause(stems, whole, universal, denied, excepted=without)


def _partition(text: str, pattern: re.Pattern[str]) -> tuple[str, str, str]:
    found = pattern.search(text)
    return (text[: found.start()], found[0], text[found.end() :]) if found else (text, "", "")


def _focus(text: str, language: Language, *, opens: bool) -> Iterator[frozenset[str]]:
    """Yield the focus phrase by phrase. If a phrase continues with the rest of the clause, only its first
    word counts: when the limit opens the clause, and in German, where verbs come last."""
    for number, phrase in enumerate(_PREPOSITION.split(text)):
        if stems := _stems(phrase, language):
            goes_on = language == "de" or (opens and not number)
            yield frozenset(stems[:1] if goes_on else stems)


def _stems(text: str, language: Language) -> list[str]:
    return [stem(word, language) for word in WORD.findall(text) if is_content(word, language)]
