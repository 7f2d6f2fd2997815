"""Words of a search marked in what was found, and the part of a text around them."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

from cairn.library.document_filters import DocumentFilter
from retrieval.answering.text.lexicon import Language, recognised_language
from retrieval.answering.text.terms import CJK, WORD, content_stems, content_words, is_content, stem

Span = tuple[int, int]
FindSpans = Callable[[str], Iterable[Span]]
"""Finds what to mark in a text: ranges in order, that do not overlap."""
LANGUAGES: Final[tuple[Language, ...]] = ("en", "de")
_LEAD: Final = 60
"""So many characters of an excerpt stand before the first word found."""


def find_parts(query: str) -> FindSpans:
    """Find the words of a query wherever they are, as the search by title does."""
    return _find_any(DocumentFilter(text=query).words)


def find_words(query: str) -> FindSpans:
    """Find words with the stems of a query's, as the search by content does. Scripts without spaces have no
    words: there, parts are found."""
    language = recognised_language(query)
    if language is None:
        query = _drop_function_words(query)
    stems = {each: content_stems(query, each) for each in ([language] if language else LANGUAGES)}
    in_pairs = _find_any(word for word in content_words(query, "en") if CJK.search(word))

    def find(text: str) -> Iterator[Span]:
        for found in WORD.finditer(text):
            if CJK.search(found[0]):
                yield from ((found.start() + start, found.start() + end) for start, end in in_pairs(found[0]))
            elif any(stem(found[0], each) in known for each, known in stems.items()):
                yield found.span()

    return find


def _drop_function_words(query: str) -> str:
    """Return the words that are content words in every language, or all if none is."""
    words = WORD.findall(query)
    left = [word for word in words if CJK.search(word) or all(is_content(word, each) for each in LANGUAGES)]
    return " ".join(left) or query


def _find_any(parts: Iterable[str]) -> FindSpans:
    longest_first = sorted(set(parts), key=len, reverse=True)
    if not longest_first:
        return lambda _text: ()
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    return lambda text: (found.span() for found in pattern.finditer(text))


def mark_found(text: str, find: FindSpans) -> SafeString:
    """Return the text as HTML, with what is found in `<mark>`."""
    pieces, at = [], 0
    for start, end in find(text):
        pieces.append((text[at:start], text[start:end]))
        at = end
    return format_html("{}{}", format_html_join("", "{}<mark>{}</mark>", pieces), escape(text[at:]))


def excerpt(text: str, find: FindSpans, *, characters: int) -> str:
    """Return the start of a text, or the part around the first of the words found if that is further on."""
    if len(text) <= characters:
        return text
    start, end = next(iter(find(text)), (0, 0))
    if end <= characters:
        begin = 0
    else:
        begin = min(start - _LEAD, len(text) - characters)
        begin = text.rfind(" ", begin - _LEAD // 2, begin) + 1 or begin
    shown = text[begin : begin + characters].strip()
    return "".join(("…" if begin else "", shown, "…" if begin + characters < len(text) else ""))
