import uuid
from datetime import UTC, datetime

import pytest

from cairn.library.rendition import Element
from retrieval import places
from retrieval.types import Hit, Scores

TOP, MIDDLE, NEXT = (0.1, 0.1, 0.9, 0.2), (0.1, 0.4, 0.9, 0.5), (0.1, 0.1, 0.9, 0.3)
ELEMENTS = (
    Element(0, "NarrativeText", "The office opens at nine.", page=1, boxes=(TOP,)),
    Element(1, "NarrativeText", "It closes at five.", page=1, boxes=(MIDDLE,)),
    Element(2, "NarrativeText", "The permit is signed\nby the head of facilities.", page=2, boxes=(NEXT,)),
)


@pytest.fixture(autouse=True)
def _rendition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_elements", lambda version: ELEMENTS)


def hit(page: int | None = 1) -> Hit:
    nobody = uuid.uuid4()
    return Hit(
        nobody, nobody, nobody, nobody, "t", "", (), page, 0, "", (0, 1, 2), Scores(1, 1, 1),
        datetime.now(UTC),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("quote", "place"),
    [
        ("The office opens at nine.", (1, (TOP,))),
        ("closes at five", (1, (MIDDLE,))),
        ("The permit is signed by the head", (2, (NEXT,))),
        ("It closes at five.\n\nThe permit is signed by the head of facilities.", (2, (NEXT,))),
        ("The office opens at nine.\n\nIt closes at five.", (1, (TOP, MIDDLE))),
        ("words that stand nowhere", (1, (TOP, MIDDLE))),
    ],
)
def test_the_quote_is_found_on_its_page(quote: str, place: object) -> None:
    assert places.place_of(hit(), quote) == place


def test_formats_without_pages_have_no_place() -> None:
    assert places.place_of(hit(page=None), "The office opens at nine.") == (None, ())
