"""The answer in the documents' own words: the blocks nearest to the question, whole."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cairn.inference.protocols import Embedder
from retrieval.answering.blocks import CELLS, Block, Shape, Span, blocks, is_bulleted, strip_bullet
from retrieval.answering.kinds import counted, kind_asked
from retrieval.answering.lexicon import Language
from retrieval.answering.signals import LONGEST_BLOCK, block_text, subject
from retrieval.answering.terms import content_stems, covered, likeness, stem
from retrieval.types import Hit

MOST_BLOCKS = 3
MOST_CANDIDATES = 60
MOST_CHARACTERS = 1400  # in all; the first block is shown whatever its length
MOST_ROWS = 6
NEARLY_AS_GOOD = 0.35  # how far behind the best block another one of its document may be
AS_GOOD = 0.05  # the same for one of another document, which may well be about something else
WORDS = 0.4  # weight of shared words beside the cosine
KIND = 0.15  # for holding the kind of thing asked for
COUNTED = 0.15  # for holding a number of what is counted
SEARCH = 0.3  # weight of how far the hit's score is behind the best one's
SHORTEST = 4  # content words
THE_SAME = 0.85  # share of a block's content words that a better block has

_NUMBERED = re.compile(r"\(?(\d{1,3})[.)]\s")
_MARKER = re.compile(r"\[\^?\d")
_SPECIAL = re.compile(r"[\\`*\[\]<|~]|(?<!\w)_|_(?!\w)|^#")


@dataclass(frozen=True, slots=True)
class Extract:
    """`markdown` is the block as a quotation, its marker still to be put behind it."""

    hit: Hit
    quote: str
    markdown: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    hit: Hit
    block: Block
    own: frozenset[str]
    stems: frozenset[str]  # with those of its headings

    @property
    def text(self) -> str:
        return self.hit.text[self.block.start : self.block.end]


def extracts(question: str, hits: Sequence[Hit], embedder: Embedder, language: Language) -> list[Extract]:
    """Best first; empty when no block is worth quoting."""
    candidates = list(_candidates(hits, language))[:MOST_CANDIDATES]
    if not candidates:
        return []
    scores = _scores(question, candidates, embedder, language)
    ranked = sorted(zip(scores, candidates, strict=True), key=lambda pair: pair[0], reverse=True)
    wanted = content_stems(question, language)
    return [_extract(item, wanted, language) for item in _chosen(_near(ranked))]


def _scores(
    question: str, candidates: Sequence[_Candidate], embedder: Embedder, language: Language
) -> list[float]:
    texts = [block_text(item.hit, item.text[:LONGEST_BLOCK]) for item in candidates]
    cosines = embedder.embed_documents(texts) @ embedder.embed_query(question)
    best = max(item.hit.scores.fused for item in candidates)
    wanted = [stem(word, language) for word in subject(question, language)]
    kind, number = kind_asked(question), counted(question)
    return [
        float(cosine)
        + WORDS * _share(wanted, item.stems)
        + KIND * (kind is not None and kind.holds(item.text))
        + COUNTED * (number is not None and number.search(item.text) is not None)
        + SEARCH * (item.hit.scores.fused - best)
        for item, cosine in zip(candidates, cosines, strict=True)
    ]


def _share(wanted: Sequence[str], given: frozenset[str]) -> float:
    return sum(likeness(word, given) for word in wanted) / len(wanted) if wanted else 0.0


def _near(ranked: Sequence[tuple[float, _Candidate]]) -> list[_Candidate]:
    best, first = ranked[0]
    return [
        item
        for score, item in ranked
        if score >= best - (NEARLY_AS_GOOD if item.hit.document == first.hit.document else AS_GOOD)
    ]


def _chosen(ranked: Sequence[_Candidate]) -> list[_Candidate]:
    chosen: list[_Candidate] = []
    room = MOST_CHARACTERS
    for item in ranked:
        fits = not chosen or len(item.text) <= room
        if fits and not any(covered(item.own, better.own) >= THE_SAME for better in chosen):
            chosen.append(item)
            room -= len(item.text)
        if len(chosen) == MOST_BLOCKS:
            break
    return chosen


def _candidates(hits: Sequence[Hit], language: Language) -> Iterator[_Candidate]:
    for hit in hits:
        for block in blocks(hit.text):
            text = hit.text[block.start : block.end]
            own = content_stems(text, language)
            lone_row = block.shape is Shape.TABLE  # mostly what stands at the foot of a page
            dangling = len(block.lines) == 1 and (lone_row or text.endswith(":"))
            if len(own) >= SHORTEST and not dangling:
                heading = content_stems(f"{hit.title} {' '.join(hit.section)}", language)
                yield _Candidate(hit, block, own, own | heading)


def _extract(item: _Candidate, wanted: frozenset[str], language: Language) -> Extract:
    lines = [item.hit.text[line.start : line.end] for line in item.block.lines]
    match item.block.shape:
        case Shape.TABLE:
            rows = _rows(item, wanted, language)
            quote = item.hit.text[_opening(item.block, rows) : rows[-1].end] if rows else item.text
            shown = [lines[0], *(item.hit.text[row.start : row.end] for row in rows)]
            return Extract(item.hit, quote, _table(shown))
        case Shape.LIST:
            return Extract(item.hit, item.text, _list(lines))
        case Shape.CODE:
            return Extract(item.hit, item.text, _code(item.text))
        case _:
            return Extract(item.hit, item.text, _quoted(escaped(" ".join(lines))))


def _rows(item: _Candidate, wanted: frozenset[str], language: Language) -> Sequence[Span]:
    """The run of rows around the one that shares most words with the question, header left out."""
    body = [line for line in item.block.lines[1:] if not _is_rule(item.hit.text[line.start : line.end])]
    if len(body) <= MOST_ROWS:
        return body
    shared = [covered(wanted, content_stems(item.hit.text[row.start : row.end], language)) for row in body]
    best = max(range(len(body)), key=lambda at: sum(shared[at : at + MOST_ROWS]))
    return body[best : best + MOST_ROWS]


def _opening(block: Block, rows: Sequence[Span]) -> int:
    """With the header, which is shown, too, unless other rows stand between."""
    return block.start if rows[0].start == block.lines[1].start else rows[0].start


def _is_rule(line: str) -> bool:
    return not line.strip(" |:-+")


def _table(lines: Sequence[str]) -> str:
    rows = [[escaped(cell.strip()) for cell in line.strip("| ").split(CELLS.strip())] for line in lines]
    width = max(len(row) for row in rows)
    written = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
    return _quoted("\n".join([written[0], "|" + " --- |" * width, *written[1:]]))


def _code(text: str) -> str:
    """In a fence longer than any that the text has, so that it cannot close it.

    In a fence nothing can be escaped, so what looks like one of our markers is shown as text instead.
    """
    if _MARKER.search(text):
        return _quoted(escaped(text))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return _quoted(f"{fence}\n{text}\n{fence}")


def _list(lines: Sequence[str]) -> str:
    """The first line leads in if it ends with a colon, or if it alone has no bullet."""
    bulleted = [is_bulleted(line) for line in lines]
    leads = lines[0].endswith(":") or (not bulleted[0] and any(bulleted))
    lead, items = ([escaped(lines[0]), ""], lines[1:]) if leads else ([], lines)
    return _quoted("\n".join([*lead, *_items(items)]))


def _items(lines: Sequence[str]) -> Iterator[str]:
    """Numbers stay; what has none below a number belongs to it."""
    numbered = False
    for line in lines:
        number = _NUMBERED.match(line)
        numbered = numbered or number is not None
        mark = f"{number[1]}. " if number else "   - " if numbered else "- "
        yield f"{mark}{escaped(strip_bullet(line))}"


def _quoted(markdown: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in markdown.split("\n"))


def escaped(text: str) -> str:
    """Shows as written: nothing in it acts as Markdown or reads as a marker of ours."""
    return _SPECIAL.sub(lambda match: f"\\{match.group()}", text)
