"""Questions out of a document's own headings: as they stand, or turned into one that is grammatical.

A heading that nothing stands below makes none: headings come from passages.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from cairn.hidden_characters import visible

MAX_SUGGESTIONS: Final = 4
MAX_HEADING_CHARACTERS: Final = 120
_WORDS: Final = json.loads(Path(__file__).with_name("words.json").read_text(encoding="utf-8"))
_PART: Final = r"(?:(?:§|section|chapter|part|abschnitt|kapitel|teil)\s*)?"
_NUMBERED: Final = re.compile(rf"^{_PART}[\dIVX]+(?:[.)]\d*)*[.):]?\s+", re.IGNORECASE)
_ODD: Final = re.compile(r"[`|<>{}\[\]\\_=]|https?:|\w\.\w{2,4}\b")
_LEANING: Final = re.compile(
    r"[.!;:]\s|\b(?:this|these|that|those|here|above|below|it|also)\b", re.IGNORECASE
)
"""Headings that are unclear without their context."""
_DOING: Final = frozenset(_WORDS["doing"])
"""First words of headings that describe a task."""
_ALSO_NOUNS: Final = frozenset(_WORDS["also_nouns"])
"""Those of them that are often nouns or adjectives: "Open points"."""
_AFTER_VERBS: Final = frozenset(_WORDS["after_verbs"])
"""Words that show the word before them to be a verb: "Book a trip", unlike "Book prices"."""
_EMPTY: Final = frozenset(_WORDS["empty"])
"""Headings that say nothing about their section."""
_DANGLING: Final = frozenset(_WORDS["dangling"])
"""Words that no complete heading ends with."""
_INTERROGATIVES: Final = frozenset(_WORDS["interrogatives"])
"""First words of English questions."""
_QUESTION_WORDS: Final = frozenset(_WORDS["question_words"])
"""First words of headings that are questions, or clauses such as “What you need”, but never topics."""
_AUXILIARIES: Final = frozenset(_WORDS["auxiliaries"])
"""Second words that make a question of a heading: “Who can read it”, unlike “Who we are”."""
_CIRCUMSTANCES: Final = frozenset({"after", "before", "during", "when", "while", "without"})
"""“Leaving the page during an import” describes what happens then, not how it is done."""
_ABOUT: Final = {
    "en": "What should I know about {heading}?",
    "de": "Was sollte ich zum Thema {heading} wissen?",
}
_MAX_TOPIC_WORDS: Final = 5
_GERUNDS: Final = {
    form: verb for verb in _DOING for form in (f"{verb.removesuffix('e')}ing", f"{verb}{verb[-1]}ing")
}
"""Their forms in -ing; also some that aren't words, which no heading has."""


@dataclass(frozen=True, slots=True)
class Made:
    question: str
    plain: bool = False


def questions_of(title: str, sections: Iterable[Sequence[str]], language: str | None) -> list[Made]:
    """The best of them, in the order in which they stand. `sections`: the paths of the passages."""
    headings = list(_headings(title, sections))
    own = [Made(question) for heading in headings if (question := _question_in_heading(heading, language))]
    return list(islice(own or _about(headings, language), MAX_SUGGESTIONS))


def _headings(title: str, sections: Iterable[Sequence[str]]) -> Iterator[str]:
    seen = {title.casefold()}
    for section in sections:
        heading = _NUMBERED.sub("", " ".join(visible(section[-1]).split())) if section else ""
        if (
            heading.casefold() not in seen
            and heading
            and not _ODD.search(heading)
            and not _is_fragment(heading)
            and len(heading) <= MAX_HEADING_CHARACTERS
        ):
            seen.add(heading.casefold())
            yield heading


def _is_fragment(heading: str) -> bool:
    """Return whether the heading begins or ends within a sentence, as lines do that were taken for one."""
    words = heading.casefold().split()
    return (
        heading[0].islower()
        or not (heading[0].isalnum() or heading[0] in '“„«"¿')
        or heading[-1] in ",;-–—/&+("
        or words[-1].strip(".:") in _DANGLING
        or heading.count("(") != heading.count(")")
    )


def _question_in_heading(heading: str, language: str | None) -> str:
    words = heading.split()
    if _LEANING.search(heading) or heading.casefold() in _EMPTY:
        return ""
    if heading.endswith("?"):
        return heading if 3 <= len(words) <= 20 and _is_question(heading, language) else ""
    if _lacks_question_mark(words):
        return f"{heading.rstrip('.:')}?" if language in {"en", None} and len(words) >= 3 else ""
    task = _task(words) if language in {"en", None} and 2 <= len(words) <= 9 else []
    return _how(" ".join(task)) if task else ""


def _lacks_question_mark(words: Sequence[str]) -> bool:
    return len(words) > 1 and words[0].lower() in _QUESTION_WORDS and words[1].lower() in _AUXILIARIES


def _is_question(heading: str, language: str | None) -> bool:
    """Return whether a reader would ask it: “Want to learn more?” is put to the reader."""
    first_word = heading.split(maxsplit=1)[0].strip('¿“"').lower()
    return heading.count("?") == 1 and (language != "en" or first_word in _INTERROGATIVES)


def _task(words: Sequence[str]) -> Sequence[str]:
    """Return the task that a heading describes, beginning with a verb; nothing if it may be anything else."""
    if [word.lower() for word in words[:2]] == ["how", "to"]:
        return words[2:]
    verb = words[0].lower()
    if verb not in _GERUNDS:
        return words if _is_task(words) else []
    if not _CIRCUMSTANCES.isdisjoint(word.lower() for word in words):
        return []
    task = [_GERUNDS[verb], *words[1:]]
    is_object = words[1].lower() in _AFTER_VERBS or words[-1].rstrip(".:").endswith("s")
    return task if is_object and _is_task(task) else []


def _is_task(words: Sequence[str]) -> bool:
    verb, after = words[0].lower(), words[1].lower()
    return verb in _DOING and (verb not in _ALSO_NOUNS or after in _AFTER_VERBS)


def _how(heading: str) -> str:
    """“Cancel your import” becomes “How do I cancel my import?”"""
    plain = heading.rstrip(".:!")
    if re.search(r"[,;:()&]|\b(?:is|are|was|has|have|we|I|they|it)\b", plain):
        return ""
    mine = re.sub(r"\byour\b", "my", re.sub(r"\byourself\b", "myself", plain))
    return f"How do I {mine[0].lower()}{mine[1:]}?"


def _about(headings: Iterable[str], language: str | None) -> Iterator[Made]:
    """Yield questions about headings that name a topic in a few words. A single word is too vague."""
    template = _ABOUT.get(language or "en")
    least = 1 if language == "de" else 2  # German writes compounds as one word
    for heading in headings if template else ():
        words = heading.split()
        if (
            least <= len(words) <= _MAX_TOPIC_WORDS
            and heading.casefold() not in _EMPTY
            and not heading.endswith("?")
            and words[0].lower() not in _QUESTION_WORDS
            and not _LEANING.search(heading)
        ):
            yield Made(str(template).format(heading=heading.rstrip(".:")), plain=True)
