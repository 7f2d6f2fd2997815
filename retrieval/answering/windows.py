"""What a sentence is compared with: one to three neighbouring sentences, a row, a whole list or table.

A row of a table means nothing without its header: it is read and embedded together with it, and read
with the line that leads in to the table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from retrieval.answering.blocks import CELLS, Block, Shape, Span, blocks, sentences_in
from retrieval.answering.evidence import Passage
from retrieval.answering.lexicon import Language
from retrieval.answering.quantities import has_value
from retrieval.answering.terms import content_stems
from retrieval.types import Hit

LONGEST_WINDOW = 3
LONGEST_QUOTE = 1500


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence or a row. `text` is what it says: a row's begins with its header. A quote leaves that out,
    or the rows between would be cited, too. `key`: stems of what a row is about, its first cell.
    """

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
    """`quote` stands word for word in the hit's text. `topic`: stems of its headings; among `stems`, too."""

    passage: Passage
    hit: Hit
    quote: str
    text: str
    pieces: range
    stems: frozenset[str]
    topic: frozenset[str]


def heading_of(hit: Hit) -> str:
    """Its own: neighbours in a passage may stand below other headings."""
    return " > ".join((hit.title, *hit.section))


def pieces_of(evidence: Sequence[Passage], language: Language) -> Iterator[Piece]:
    for passage in evidence:
        for hit in passage.hits:
            lead = ""
            for block in blocks(hit.text):
                yield from _pieces(passage, hit, block, lead, language)
                lead = _lead(hit.text, block)


def _lead(text: str, block: Block) -> str:
    last = text[block.lines[-1].start : block.end]
    return last if block.shape is not Shape.TABLE and last.endswith(":") else ""


def _pieces(passage: Passage, hit: Hit, block: Block, lead: str, language: Language) -> Iterator[Piece]:
    if block.shape is Shape.TABLE and (head := _header(hit.text, block)):
        yield from _rows(passage, hit, block, head, lead, language)
        return
    for span in sentences_in(hit.text, block):
        text = hit.text[span.start : span.end]
        yield Piece(passage, hit, span, text, content_stems(text, language))


def _header(text: str, block: Block) -> Span | None:
    """A first row with values of its own is none, nor is a row that stands alone."""
    first = block.lines[0]
    return first if len(block.lines) > 1 and not has_value(text[first.start : first.end]) else None


def _rows(
    passage: Passage, hit: Hit, block: Block, head: Span, lead: str, language: Language
) -> Iterator[Piece]:
    header = hit.text[head.start : head.end]
    for row in block.lines[1:]:
        own = hit.text[row.start : row.end]
        text = "\n".join(filter(None, (lead, header, own)))
        key = content_stems(own.strip("| ").split(CELLS.strip())[0], language)
        yield Piece(passage, hit, row, text, content_stems(text, language), key)


def windows_of(pieces: Sequence[Piece], language: Language) -> Iterator[Window]:
    headings = {piece.hit.chunk: content_stems(heading_of(piece.hit), language) for piece in pieces}
    spans = {(piece.hit.chunk, piece.span.start): at for at, piece in enumerate(pieces)}
    for start, piece in enumerate(pieces):
        for stop in range(start + 1, min(start + LONGEST_WINDOW, len(pieces)) + 1):
            if pieces[stop - 1].hit is piece.hit:
                yield _window(pieces, range(start, stop), headings[piece.hit.chunk])
    yield from _block_windows(pieces, spans, headings)


def _block_windows(
    pieces: Sequence[Piece], spans: dict[tuple[UUID, int], int], headings: dict[UUID, frozenset[str]]
) -> Iterator[Window]:
    """Lists and tables as a whole, where they are longer than any other window."""
    seen: set[UUID] = set()
    for piece in pieces:
        if piece.hit.chunk in seen:
            continue
        seen.add(piece.hit.chunk)
        for block in blocks(piece.hit.text):
            if block.shape is Shape.PARAGRAPH or block.end - block.start > LONGEST_QUOTE:
                continue
            inside = [
                at
                for span in sentences_in(piece.hit.text, block)
                if (at := spans.get((piece.hit.chunk, span.start))) is not None
            ]
            if len(inside) > LONGEST_WINDOW:
                yield _window(pieces, range(inside[0], inside[-1] + 1), headings[piece.hit.chunk])


def _window(pieces: Sequence[Piece], inside: range, heading: frozenset[str]) -> Window:
    first, last = pieces[inside.start], pieces[inside.stop - 1]
    stems = heading.union(*(pieces[at].stems for at in inside))
    quote = first.hit.text[first.span.start : last.span.end]
    before = first.text[: len(first.text) - len(first.own)]
    text = f"{before}{first.hit.text[first.span.start : last.span.end]}"
    return Window(first.passage, first.hit, quote, text, inside, stems, heading)
