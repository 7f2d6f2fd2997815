"""Misspelt words of a question, corrected with words of passages that the asker may read.

There is no word list: the index is searched for every word that is one edit away, in the asker's scope, and
only passages that SQL confirms as readable count.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Final
from uuid import UUID

from rapidfuzz.distance import OSA

from cairn.access.scope import Scope
from cairn.access.selectors import chunks_for
from cairn.library.models import Chunk
from cairn.library.outside_models import find_forbidden_outside
from cairn.settings.stored.store import effective_environment
from retrieval.answering.text.lexicon import Language, language_of
from retrieval.answering.text.spelling import are_found, correct_text
from retrieval.answering.text.terms import WORD, content_stems, is_content, stem
from retrieval.engine import Engine
from retrieval.index.protocol import Filters
from retrieval.search.bm25 import query_sparse
from retrieval.types import Hit, SpellingCorrection

MIN_LETTERS: Final = 6
"""Most words of five letters are one edit away from another."""
MIN_GERMAN_NOUN_LETTERS: Final = 9
"""German writes nouns as it does names, most of which are shorter."""
MAX_LOOKUPS: Final = 3
MAX_UNKNOWN_SHARE: Final = 0.5
"""If more of a longer question is unknown, it is written in another language than the passages."""
MAX_PASSAGES: Final = 50
_SHORT_QUESTION: Final = 3
_LATIN: Final = re.compile(r"[a-zà-öø-ÿß]+", re.IGNORECASE)
_QUOTED: Final = re.compile(r'"[^"]*"|[“„«][^“”„«»]*[“”»]')
_NOT_AT_START: Final = re.compile(r"[\w,;)’'\"-]\s*$")


@dataclass(frozen=True, slots=True)
class SpellingScope:
    """Where words are looked up: the same scope and filters as a search for the question."""

    scope: Scope
    filters: Filters
    engine: Engine


def find_spelling_corrections(
    question: str, hits: Sequence[Hit], within: SpellingScope
) -> tuple[SpellingCorrection, ...]:
    """Return corrections of words that none of the hits has. Words in quotation marks are meant as typed."""
    language = language_of(question)
    unknown = _find_unknown(question, hits, language)
    found = ((word, _look_up(word, question, language, within)) for word in unknown[:MAX_LOOKUPS])
    return tuple(SpellingCorrection(typed, searched) for typed, searched in found if searched)


def search_corrected(
    query: str, search: Callable[[str], Sequence[Hit]], within: SpellingScope
) -> tuple[Sequence[Hit], tuple[SpellingCorrection, ...]]:
    """Search for the query and, if words of it are misspelt, for the corrected one instead."""
    hits = search(query)
    corrections = find_spelling_corrections(query, hits, within)
    again = search(correct_text(query, corrections)) if corrections else ()
    return (again, corrections) if corrections and are_found(corrections, again) else (hits, ())


def _find_unknown(question: str, hits: Sequence[Hit], language: Language) -> list[str]:
    """Return words that may be misspelt and are in none of the hits; [] if most of the question is."""
    known = content_stems(" ".join(map(_read_hit, hits)), language)
    typed = _QUOTED.sub(" ", question)
    words = {each[0] for each in WORD.finditer(typed) if is_content(each[0], language)}
    missing = {word for word in words if stem(word, language) not in known}
    if len(words) > _SHORT_QUESTION and len(missing) > MAX_UNKNOWN_SHARE * len(words):
        return []
    matches = [each for each in WORD.finditer(typed) if each[0] in missing]
    return list(dict.fromkeys(each[0] for each in matches if _may_be_misspelt(each, language)))


def _may_be_misspelt(match: re.Match[str], language: Language) -> bool:
    """Return False for short words, codes and names: a name is capitalised where other words are not."""
    word = match[0]
    if len(word) < MIN_LETTERS or not _LATIN.fullmatch(word) or not (word.islower() or word.istitle()):
        return False
    if word.islower() or not _NOT_AT_START.search(match.string[: match.start()]):
        return True
    return language == "de" and len(word) >= MIN_GERMAN_NOUN_LETTERS


def _look_up(word: str, question: str, language: Language, within: SpellingScope) -> str:
    """Return the word that most of the readable passages have, "" if none has one or a passage has the word
    as it is."""
    seen, typed = Counter[str](), word.casefold()
    for row in _find_passages(word, question, within):
        words = set(WORD.findall(_read(row)))
        if any(stem(each, language) == stem(word, language) for each in words):
            return ""
        seen.update({each.casefold() for each in words if _is_one_edit_away(typed, each.casefold())})
    best = min(seen, key=lambda each: (-seen[each], each), default="")
    return best.capitalize() if word.istitle() else best


def _find_passages(word: str, question: str, within: SpellingScope) -> Iterator[Chunk]:
    """Yield passages with a word that is one edit away. Passages that SQL does not confirm as readable are
    dropped, and those that an outside language model may not read: the corrected question is sent to it."""
    index, embedder = within.engine.index, within.engine.embedder
    variants = query_sparse(" ".join(sorted(_edits(word.casefold()))))
    found = index.query(
        embedder.embed_query(question),
        variants,
        scope=within.scope,
        filters=within.filters,
        limit=MAX_PASSAGES,
    )
    rows = list(chunks_for(within.scope, [candidate.id for candidate in found.sparse]))
    closed = _find_closed_to_model({row.version.document_id for row in rows})
    yield from (row for row in rows if row.version.document_id not in closed)


def _find_closed_to_model(documents: Collection[UUID]) -> frozenset[UUID]:
    inside = effective_environment().llm_location == "inside"
    return frozenset() if inside else find_forbidden_outside(documents)


def _edits(word: str) -> set[str]:
    """Return the word and all that are one edit away: a letter left out, swapped, changed or added."""
    splits = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    letters = sorted({*ascii_lowercase, *word})
    return {
        word,
        *(a + b[1:] for a, b in splits if b),
        *(a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1),
        *(a + letter + b[1:] for a, b in splits if b for letter in letters),
        *(a + letter + b for a, b in splits for letter in letters),
    }


def _is_one_edit_away(typed: str, word: str) -> bool:
    """Return whether they differ by one edit, other than at the end: that is another form of the word."""
    if not _LATIN.fullmatch(word) or OSA.distance(typed, word, score_cutoff=1) != 1:
        return False
    return typed[:-1] != word[:-1] and typed[:-1] != word and typed != word[:-1]


def _read_hit(hit: Hit) -> str:
    return " ".join((hit.title, *hit.section, hit.text))


def _read(chunk: Chunk) -> str:
    return " ".join((chunk.version.document.title, *chunk.section, chunk.text))
