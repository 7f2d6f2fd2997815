"""Where on its page a quote stands."""

from functools import lru_cache
from uuid import UUID

from cairn.library.models import DocumentVersion
from cairn.library.rendition import Box, Element
from cairn.library.storage import rendition_load
from retrieval.types import Hit

_RENDITIONS_KEPT = 32


@lru_cache(maxsize=_RENDITIONS_KEPT)
def _elements(version: UUID) -> tuple[Element, ...]:
    """Renditions never change: a version's is written before the version becomes searchable."""
    return rendition_load(
        DocumentVersion.objects.values_list("rendition", flat=True).get(pk=version)
    ).elements


def forget_renditions() -> None:
    _elements.cache_clear()


def place_of(hit: Hit, quote: str) -> tuple[int | None, tuple[Box, ...]]:
    """Page and boxes of the elements that the quote overlaps; boxes of the quote's first page only."""
    if hit.page is None:
        return None, ()
    elements = _elements(hit.version)
    around = [elements[index] for index in hit.elements if index < len(elements)]
    touched = [element for element in around if _overlap(element.text, quote)] or around
    page = touched[0].page if touched else hit.page
    return page, tuple(box for element in touched if element.page == page for box in element.boxes)


def _overlap(text: str, quote: str) -> bool:
    """Whether one holds the other, or they share a line of some length."""
    text, quote = " ".join(text.split()), " ".join(quote.split())
    return bool(text) and (text in quote or quote in text)
