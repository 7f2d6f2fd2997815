"""Lines about documents in an answer: a title with its knowledge base, cited by how the document begins."""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from retrieval.answering.generation.extractive import escape_markdown, escape_quoted_text
from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.terms import content_stems
from retrieval.intents.catalogue import Catalogue
from retrieval.intents.composer import Composer
from retrieval.types import AnswerEvent, Hit

OPENING_CHARACTERS: Final = 240
LIST_ITEM: Final = "- **"


def write_documents(composer: Composer, hits: Iterable[Hit], *, snippets: bool = False) -> list[AnswerEvent]:
    """Add a list item for each document. `snippets`: with the beginning of its passage."""
    events: list[AnswerEvent] = []
    for number, hit in enumerate(hits):
        opening = shorten(hit.text)
        title, base = escape_markdown(_one_line(hit.title)), escape_markdown(hit.knowledge_base_name)
        name = f"{LIST_ITEM}{title}** ({base})"
        cut = "…" if len(opening) < len(hit.text) else ""
        text = f"{name}: {escape_quoted_text(_one_line(opening))}{cut}" if snippets else name
        events += composer.cite(text, hit, opening, joins=number > 0, whole=True)
    return events


def open_documents(catalogue: Catalogue, documents: Sequence[UUID]) -> list[Hit]:
    return list(catalogue.load_openings(documents).values())


def shorten(text: str, most: int = OPENING_CHARACTERS) -> str:
    """Return the beginning of a passage, verbatim, up to the end of a word."""
    if len(text) <= most:
        return text
    cut = text[:most]
    return re.sub(r"\s+\S*$", "", cut) or cut


def has_own_text(hit: Hit, language: Language) -> bool:
    """Return whether the passage says more than its title and headings do."""
    headings = content_stems(f"{hit.title} {' '.join(hit.section)}", language)
    return not content_stems(hit.text, language) <= headings


def _one_line(text: str) -> str:
    return " ".join(text.split())
