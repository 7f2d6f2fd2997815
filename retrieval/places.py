"""Where on its page a quote stands."""

from collections import Counter
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


def place_of(hit: Hit, quote: str) -> tuple[int | None, tuple[Box, ...]]:
    """The page that has most of the quote, and the boxes there of the elements that the quote overlaps."""
    if hit.page is None:
        return None, ()
    elements = _elements(hit.version)
    around = [elements[index] for index in hit.elements if index < len(elements)]
    quoted = Counter[int | None]()
    for element in around:
        quoted[element.page] += _overlap(element.text, quote)
    page = quoted.most_common(1)[0][0] if quoted.total() else hit.page
    lit = [
        item for item in around if item.page == page and (_overlap(item.text, quote) or not quoted.total())
    ]
    return page, tuple(box for element in lit for box in element.boxes)


def _overlap(text: str, quote: str) -> int:
    """Characters that stand in both, when one holds the other."""
    text, quote = " ".join(text.split()), " ".join(quote.split())
    return min(len(text), len(quote)) if text in quote or quote in text else 0
