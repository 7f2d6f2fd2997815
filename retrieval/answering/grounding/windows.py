"""Windows of the evidence that sentences are compared with: one to three sentences, a row, a list or a table.

A table row means nothing without its header: the two are read and embedded together, with the lead-in of the
table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from retrieval.answering.grounding.quantities import DATES, has_value, list_figures
from retrieval.answering.prompts.evidence import Passage
from retrieval.answering.text.blocks import CELL_SEPARATOR, Block, Shape, Span, sentences_in, split_blocks
from retrieval.answering.text.lexicon import Language, list_words
from retrieval.answering.text.number_words import comparable_stems
from retrieval.answering.text.terms import stem
from retrieval.types import Hit

MAX_WINDOW_PIECES = 3
MAX_QUOTE_CHARACTERS = 1500
_CONTINUATIONS = """also both each either he her his however it its she so such that their then there these
they this those auch beide beides daher dann darin dazu deren dessen dies diese dieser dieses er es ihr ihre
sein seine sie somit"""
CONTINUATIONS = frozenset(_CONTINUATIONS.split())
"""Words at the beginning of a sentence that goes on about what the one before is about."""
DEFINITE_ARTICLES = frozenset({"the", "der", "die", "das"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence or row. `text` includes a row's header, which quotes leave out, since the rows between would
    be cited, too. `key`: stems of a row's first cell, its subject."""

    passage: Passage
    hit: Hit
    span: Span
    text: str
    stems: frozenset[str]
    key: frozenset[str] = frozenset()

    @property
    def own(self) -> str:
        return self.hit.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class Window:
    """`quote` is verbatim from the hit's text. `topic`: stems of its headings, also among `stems`."""

    passage: Passage
    hit: Hit
    quote: str
    text: str
    pieces: range
    stems: frozenset[str]
    topic: frozenset[str]


def pieces_of(evidence: Sequence[Passage], language: Language) -> Iterator[Piece]:
    for passage in evidence:
        for hit in passage.hits:
            lead = ""
            for block in split_blocks(hit.text, hit.code):
                yield from _pieces(passage, hit, block, lead, language)
                lead = _lead(hit.text, block)


def _lead(text: str, block: Block) -> str:
    last = text[block.lines[-1].start : block.end]
    return last if block.shape is not Shape.TABLE and last.endswith(":") else ""


def _pieces(passage: Passage, hit: Hit, block: Block, lead: str, language: Language) -> Iterator[Piece]:
    if block.shape is Shape.TABLE and (head := find_header(hit.text, block)):
        yield from _rows(passage, hit, block, head, lead, language)
        return
    for span in sentences_in(hit.text, block):
        text = hit.text[span.start : span.end]
        yield Piece(passage, hit, span, text, comparable_stems(text, language))


def find_header(text: str, block: Block) -> Span | None:
    """Return a table's header row. A first row with values is not one, nor is a single row, nor one with
    dates or times above others."""
    first, *others = block.lines
    below = next((line for line in others if text[line.start : line.end].strip(" |:-+")), None)
    if below is None or has_value(text[first.start : first.end]):
        return None
    cells = zip(_list_cells(text, first), _list_cells(text, below), strict=False)
    return None if any(_find_dates(above) & _find_dates(cell) for above, cell in cells) else first


def _list_cells(text: str, row: Span) -> list[str]:
    return text[row.start : row.end].strip("| ").split(CELL_SEPARATOR.strip())


def _find_dates(cell: str) -> frozenset[str]:
    """Return which of dates, times and days of the week the cell has."""
    return frozenset(kind for kind, _ in list_figures(cell)) & DATES


def _rows(
    passage: Passage, hit: Hit, block: Block, head: Span, lead: str, language: Language
) -> Iterator[Piece]:
    header = hit.text[head.start : head.end]
    for row in block.lines[1:]:
        own = hit.text[row.start : row.end]
        text = "\n".join(filter(None, (lead, header, own)))
        key = comparable_stems(own.strip("| ").split(CELL_SEPARATOR.strip())[0], language)
        yield Piece(passage, hit, row, text, comparable_stems(text, language), key)


def windows_of(pieces: Sequence[Piece], language: Language) -> Iterator[Window]:
    headings = {piece.hit.chunk: comparable_stems(piece.hit.heading, language) for piece in pieces}
    spans = {(piece.hit.chunk, piece.span.start): at for at, piece in enumerate(pieces)}
    for start, piece in enumerate(pieces):
        for stop in range(start + 1, min(start + MAX_WINDOW_PIECES, len(pieces)) + 1):
            if pieces[stop - 1].hit is piece.hit:
                yield _window(pieces, range(start, stop), headings[piece.hit.chunk])
    yield from _block_windows(pieces, spans, headings)


def statements_of(pieces: Sequence[Piece], language: Language) -> list[list[Piece]]:
    """Group pieces with those that they go on from: "It comes to 40,000 dollars." says nothing alone."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and _goes_on(groups[-1][-1], piece, language):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _goes_on(before: Piece, piece: Piece, language: Language) -> bool:
    """Return whether a piece is a row or an item like the one before, or begins with a word for what that is
    about: "it", or "the call" after a call."""
    first, *others = list_words(piece.own) or [""]
    if piece.key or before.own.rstrip().endswith(":") or not piece.own.lstrip()[:1].isupper():
        return True
    if first in DEFINITE_ARTICLES and others:
        return stem(others[0], language) in before.stems
    return first in CONTINUATIONS


def _block_windows(
    pieces: Sequence[Piece], spans: dict[tuple[UUID, int], int], headings: dict[UUID, frozenset[str]]
) -> Iterator[Window]:
    """Yield whole lists and tables that are longer than any other window."""
    seen: set[UUID] = set()
    for piece in pieces:
        if piece.hit.chunk in seen:
            continue
        seen.add(piece.hit.chunk)
        for block in split_blocks(piece.hit.text, piece.hit.code):
            if block.shape is Shape.PARAGRAPH or block.end - block.start > MAX_QUOTE_CHARACTERS:
                continue
            inside = [
                at
                for span in sentences_in(piece.hit.text, block)
                if (at := spans.get((piece.hit.chunk, span.start))) is not None
            ]
            if len(inside) > MAX_WINDOW_PIECES:
                yield _window(pieces, range(inside[0], inside[-1] + 1), headings[piece.hit.chunk])


def _window(pieces: Sequence[Piece], inside: range, heading: frozenset[str]) -> Window:
    first, last = pieces[inside.start], pieces[inside.stop - 1]
    stems = heading.union(*(pieces[at].stems for at in inside))
    quote = first.hit.text[first.span.start : last.span.end]
    before = first.text[: len(first.text) - len(first.own)]
    text = f"{before}{first.hit.text[first.span.start : last.span.end]}"
    return Window(first.passage, first.hit, quote, text, inside, stems, heading)
