"""Sentences that join two sentences of a passage into a statement that neither makes: the subject of one with
the predicate of the other. As a control, sentences that say the same as one sentence in the active voice."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import Final

from retrieval.answering.text.terms import content_stems

_PASSIVE: Final = re.compile(
    r"(?:\w+ )?(?:is|are|was|were|be|been) (?P<verb>\w+ed|made|held|led|built|sent|kept|paid|found) by "
    r"(?P<agent>(?:the|a|an|our|your|all|any)(?: [\w-]+){1,3}?)"
    r"(?=[.,;]| (?:in|on|at|for|with|from|to|and|or|under|as) )"
)
"""Of verbs with the same form for "is approved by" and "approved"."""
_ANY_NUMBER: Final = {"can", "could", "may", "must", "shall", "should", "will", "would"}
_FINITE_VERBS: Final = {*_ANY_NUMBER, "is", "are", "was", "were", "has", "have"}
_DETERMINERS: Final = {"The", "A", "An", "All", "Any", "Each", "Every", "Our", "Your"}
_OPENINGS: Final = """It This That These They There He She If When Once For In At On As After Before By Do To
Its His Their But And You We I"""
_NO_SUBJECT: Final = frozenset(_OPENINGS.split())
"""First words of sentences that have another subject or one that means nothing elsewhere."""
_CLAUSE_WORDS: Final = {"that", "which", "who", "what", "when", "where", "if", "do", "does", "did", "not"}
_SUBJECT_WORDS: Final = range(1, 9)


@dataclass(frozen=True, slots=True)
class JoinedSentence:
    """`group`: how it was made. `topic`: what it is about."""

    group: str
    text: str
    topic: str
    title: str
    passage: str


@dataclass(frozen=True, slots=True)
class _Halves:
    """A sentence up to its first finite verb, and from there on."""

    subject: str
    predicate: str

    @property
    def verb(self) -> str:
        return self.predicate.split()[0]


@dataclass(frozen=True, slots=True)
class _Deed:
    """What a passive sentence says about its agent."""

    agent: str
    verb: str

    def say_actively(self, done_to: str) -> str:
        first, *_ = done_to.split()
        lowered = f"{done_to[0].lower()}{done_to[1:]}" if first in _DETERMINERS else done_to
        return f"{self.agent[0].upper()}{self.agent[1:]} {self.verb} {lowered}."


def draw_joined(sentences: Iterable[tuple[str, str, str]], count: int, seed: int) -> list[JoinedSentence]:
    """Draw passages at random, and up to `count` sentences of each group, one of each passage.

    `sentences`: title, passage and sentence.
    """
    random = Random(seed)
    passages: dict[tuple[str, str], list[str]] = {}
    for title, passage, sentence in sentences:
        passages.setdefault((title, passage), []).append(sentence)
    drawn = list(passages.items())
    random.shuffle(drawn)
    found: dict[str, list[JoinedSentence]] = {}
    for (title, passage), inside in drawn:
        for group, made in _make_all(inside).items():
            of_group = found.setdefault(group, [])
            if made and len(of_group) < count:
                text, topic = random.choice(made)
                of_group.append(JoinedSentence(group, text, topic, title, passage))
    return [each for of_group in found.values() for each in of_group]


def _make_all(sentences: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return sentences and their topics, by group."""
    halves = [found for each in sentences if (found := _split_at_verb(each))]
    pairs = list(permutations(halves, 2))
    deeds = [(one, deed) for one in halves if (deed := _find_deed(one.predicate))]
    return {
        "halves": [
            (f"{one.subject} {other.predicate}", one.subject)
            for one, other in pairs
            if _agree(one, other) and _are_apart(one, other)
        ],
        "halves, other voice": [
            (deed.say_actively(other.subject), other.subject)
            for one, deed in deeds
            for other in halves
            if _are_apart(other, one)
        ],
        "true, other voice": [(deed.say_actively(one.subject), one.subject) for one, deed in deeds],
    }


def _split_at_verb(sentence: str) -> _Halves | None:
    """Split a sentence with a short subject before a verb that is surely finite."""
    words = sentence.split()
    at = next((place for place, word in enumerate(words) if word in _FINITE_VERBS), 0)
    subject, predicate = " ".join(words[:at]), " ".join(words[at:])
    if at not in _SUBJECT_WORDS or "," in subject or words[0] in _NO_SUBJECT:
        return None
    stems = content_stems(subject, "en")
    if not stems or not _CLAUSE_WORDS.isdisjoint(words[:at]):
        return None
    return _Halves(subject, predicate) if len(content_stems(predicate, "en") - stems) > 1 else None


def _find_deed(predicate: str) -> _Deed | None:
    found = _PASSIVE.match(predicate)
    return _Deed(found["agent"], found["verb"]) if found else None


def _agree(one: _Halves, other: _Halves) -> bool:
    return one.verb == other.verb or not _ANY_NUMBER.isdisjoint({one.verb, other.verb})


def _are_apart(one: _Halves, other: _Halves) -> bool:
    """Return whether `other` is about another subject than `one`."""
    words = content_stems(f"{other.subject} {other.predicate}", "en")
    return words.isdisjoint(content_stems(one.subject, "en"))
