"""Extractive answers: the blocks most relevant to the question, quoted whole."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from uuid import UUID

import numpy as np

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Embedder, Reranker
from cairn.telemetry.metrics import count_model_failure
from retrieval.answering.answerability.signals import (
    MAX_BLOCK_CHARACTERS,
    block_text,
    subject_words,
)
from retrieval.answering.generation.quotable import is_quotable
from retrieval.answering.generation.relevance import find_queries, rate_relevance
from retrieval.answering.grounding.reranker_languages import is_foreign_passage
from retrieval.answering.grounding.substance import adds_something
from retrieval.answering.text.answer_types import counted_noun_pattern, expected_answer_type
from retrieval.answering.text.blocks import (
    CELL_SEPARATOR,
    Block,
    Shape,
    Span,
    continues_item,
    is_bulleted,
    split_blocks,
)
from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.list_levels import ListLine, render_items, split_at_leads
from retrieval.answering.text.quoted_text import clean_quoted_text
from retrieval.answering.text.terms import content_stems, coverage, likeness, stem
from retrieval.types import Hit

MAX_BLOCKS = 3
MAX_RERANKED = 8
MAX_LOG_ODDS_GAP = 3.0  # how far behind the most relevant block another may be
MAX_CANDIDATES = 60
MAX_CHARACTERS = 1400  # in all; the first block is shown whatever its length
MAX_ROWS = 6
MAX_HEADER_ROWS = 2  # below the first one
MAX_GAP_SAME_DOCUMENT = 0.35  # how far behind the best block another one of its document may be
MAX_GAP_OTHER_DOCUMENT = 0.05  # the same for one of another document, which may well be about something else
SHARED_WORDS_WEIGHT = 0.4  # weight of shared words relative to the cosine
ANSWER_TYPE_WEIGHT = 0.15  # for holding the kind of thing asked for
COUNTED_NOUN_WEIGHT = 0.15  # for containing a number of what is counted
SEARCH_SCORE_WEIGHT = 0.3  # weight of how far the hit's score is behind the best one's
MIN_BLOCK_WORDS = 4  # content words, unless all blocks have fewer
MIN_DUPLICATE_COVERAGE = 0.85  # share of a block's content words that a better block has

_OMITTED = "…"
_NUMBER = re.compile(r"\d")
_LEADING_NUMBER = re.compile(r"^(\s*\d{1,9})([.)])")
_SPECIAL = re.compile(r"[\\`*\[\]<|~]|(?<!\w)_|_(?!\w)|^#")


@dataclass(frozen=True, slots=True)
class Extract:
    """A quote. `markdown` is the block as a quotation, without its marker. `relevance`: the reranker's score
    for the question, as log odds; None without a reranker."""

    hit: Hit
    quote: str
    markdown: str
    relevance: float | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    hit: Hit
    block: Block
    own: frozenset[str]
    stems: frozenset[str]  # with those of its headings

    @property
    def text(self) -> str:
        return self.hit.text[self.block.start : self.block.end]


def extract_blocks(
    question: str,
    hits: Sequence[Hit],
    embedder: Embedder,
    language: Language,
    reranker: Reranker | None = None,
) -> list[Extract]:
    """Return the blocks worth quoting, best first."""
    # A page may ask the very question, and answer it below.
    blocks = [item for item in _candidates(hits, language) if adds_something(item.text, question, language)]
    long_enough = [item for item in blocks if len(item.own) >= MIN_BLOCK_WORDS]
    candidates = (long_enough or blocks)[:MAX_CANDIDATES]
    if not candidates:
        return []
    scores = _scores(question, candidates, embedder, language)
    ranked = sorted(zip(scores, candidates, strict=True), key=lambda pair: pair[0], reverse=True)
    relevances = _rate_blocks(question, ranked, reranker) if reranker else {}
    question_stems = content_stems(question, language)
    return [
        replace(_render_extract(item, question_stems, language), relevance=relevances.get(item))
        for item in _choose(_most_relevant(relevances) or _near_best(ranked))
    ]


def arrange_for_reading(extracts: Sequence[Extract]) -> list[Extract]:
    """Return quotes of the same section together, in the document's order, best section first.

    Steps and conditions make little sense in another order.
    """
    sections: dict[tuple[UUID, tuple[str, ...]], list[Extract]] = {}
    for extract in extracts:
        sections.setdefault((extract.hit.version, extract.hit.section), []).append(extract)
    return [extract for group in sections.values() for extract in sorted(group, key=_position)]


def _position(extract: Extract) -> tuple[int, int]:
    return extract.hit.ordinal, extract.hit.text.find(extract.quote)


def _rate_blocks(
    question: str, ranked: Sequence[tuple[float, _Candidate]], reranker: Reranker
) -> dict[_Candidate, float]:
    """Return the reranker's log odds of the best blocks that it reads.

    None are returned if it fails, or if one that it does not read is the best and no other is likely to
    answer.
    """
    readable = [candidate for _, candidate in ranked if not is_foreign_passage(reranker, candidate.hit)]
    candidates = readable[:MAX_RERANKED]
    if not candidates:
        return {}
    texts = [block_text(item.hit, item.text[:MAX_BLOCK_CHARACTERS]) for item in candidates]
    try:
        rated = dict(zip(candidates, rate_relevance(question, texts, reranker), strict=True))
    except (Unavailable, ConfigurationError):
        count_model_failure("reranker")
        return {}
    is_best_read = ranked[0][1] in rated
    return rated if is_best_read or any(odds > 0 for odds in rated.values()) else {}


def _most_relevant(relevances: Mapping[_Candidate, float]) -> list[_Candidate]:
    """Return the blocks that are about as relevant as the best one, best first."""
    best = max(relevances.values(), default=0.0)
    order = sorted(relevances, key=lambda item: -relevances[item])
    return [item for item in order if relevances[item] >= best - MAX_LOG_ODDS_GAP]


def _scores(
    question: str, candidates: Sequence[_Candidate], embedder: Embedder, language: Language
) -> list[float]:
    texts = [block_text(item.hit, item.text[:MAX_BLOCK_CHARACTERS]) for item in candidates]
    queries = np.array([embedder.embed_query(query) for query in find_queries(question)])
    cosines = (embedder.embed_documents(texts) @ queries.T).mean(axis=1)
    best = max(item.hit.scores.fused for item in candidates)
    search_weight = 0.0 if len(queries) > 1 else SEARCH_SCORE_WEIGHT  # the search was for both questions
    words = [stem(word, language) for word in subject_words(find_queries(question)[-1], language)]
    answer_type, counted = expected_answer_type(question), counted_noun_pattern(question)
    return [
        float(cosine)
        + SHARED_WORDS_WEIGHT * _share(words, item.stems)
        + ANSWER_TYPE_WEIGHT * (answer_type is not None and answer_type.matches(item.text))
        + COUNTED_NOUN_WEIGHT * (counted is not None and counted.search(item.text) is not None)
        + search_weight * (item.hit.scores.fused - best)
        for item, cosine in zip(candidates, cosines, strict=True)
    ]


def _share(words: Sequence[str], given: frozenset[str]) -> float:
    return sum(likeness(word, given) for word in words) / len(words) if words else 0.0


def _near_best(ranked: Sequence[tuple[float, _Candidate]]) -> list[_Candidate]:
    best, first = ranked[0]
    return [
        item
        for score, item in ranked
        if score
        >= best
        - (MAX_GAP_SAME_DOCUMENT if item.hit.document == first.hit.document else MAX_GAP_OTHER_DOCUMENT)
    ]


def _choose(ranked: Sequence[_Candidate]) -> list[_Candidate]:
    chosen: list[_Candidate] = []
    room = MAX_CHARACTERS
    for item in ranked:
        fits = not chosen or len(item.text) <= room
        if fits and not any(coverage(item.own, better.own) >= MIN_DUPLICATE_COVERAGE for better in chosen):
            chosen.append(item)
            room -= len(item.text)
        if len(chosen) == MAX_BLOCKS:
            break
    return chosen


def _candidates(hits: Sequence[Hit], language: Language) -> Iterator[_Candidate]:
    for hit in hits:
        for block in split_blocks(hit.text, hit.code):
            text = hit.text[block.start : block.end]
            own = content_stems(clean_quoted_text(text), language)
            dangling = len(block.lines) == 1 and text.endswith(":")
            if own and not dangling and is_quotable(hit, block):
                heading = content_stems(f"{hit.title} {' '.join(hit.section)}", language)
                yield _Candidate(hit, block, own, own | heading)


def _render_extract(item: _Candidate, question_stems: frozenset[str], language: Language) -> Extract:
    match item.block.shape:
        case Shape.TABLE:
            return _render_table_extract(item, _relevant_rows(item, question_stems, language))
        case Shape.LIST:
            return Extract(item.hit, item.text, _blockquote("\n\n".join(_render_list_parts(item))))
        case Shape.CODE:
            return Extract(item.hit, item.text, _blockquote("\n\n".join(_render_code_parts(item))))
        case _:
            lines = (item.hit.text[line.start : line.end] for line in item.block.lines)
            return Extract(item.hit, item.text, _blockquote(escape_quoted_text(" ".join(lines))))


def quote_table(hit: Hit) -> Extract | None:
    """Quote the first rows of the hit's first table; None if it has none."""
    tables = (block for block in split_blocks(hit.text, hit.code) if block.shape is Shape.TABLE)
    block = next((table for table in tables if len(table.lines) > 1), None)
    if block is None:
        return None
    item = _Candidate(hit, block, frozenset(), frozenset())
    return _render_table_extract(item, _body_rows(item)[:MAX_ROWS])


def quote_list(hit: Hit, block: Block, *, with_lead: bool) -> Extract:
    """Quote a list, or its items alone if `with_lead` is not set and the first line is a lead-in."""
    first = hit.text[block.lines[0].start : block.lines[0].end]
    leaves_out = not with_lead and len(block.lines) > 1 and not is_bulleted(first)
    shown = replace(block, lines=block.lines[1:]) if leaves_out else block
    item = _Candidate(hit, shown, frozenset(), frozenset())
    return Extract(hit, item.text, _blockquote("\n\n".join(_render_list_parts(item))))


def _render_table_extract(item: _Candidate, rows: Sequence[Span]) -> Extract:
    quote = item.hit.text[_quote_start(item, rows) : rows[-1].end] if rows else item.text
    header = [item.hit.text[line.start : line.end] for line in _header_rows(item)]
    return Extract(item.hit, quote, _render_table([*header, *_mark_omissions(item, rows)]))


def _relevant_rows(item: _Candidate, question_stems: frozenset[str], language: Language) -> Sequence[Span]:
    """Return the run of rows that shares most words with the question, without the header."""
    body = _body_rows(item)
    if len(body) <= MAX_ROWS:
        return body
    shared = [
        coverage(question_stems, content_stems(item.hit.text[row.start : row.end], language)) for row in body
    ]
    best = max(range(len(body)), key=lambda at: sum(shared[at : at + MAX_ROWS]))
    return body[best : best + MAX_ROWS]


def _mark_omissions(item: _Candidate, rows: Sequence[Span]) -> list[str]:
    """Return the rows to show, with a row of "…" wherever others are left out."""
    body = _body_rows(item)
    before = [_OMITTED] if rows and rows[0] != body[0] else []
    after = [_OMITTED] if rows and rows[-1] != body[-1] else []
    return [*before, *(item.hit.text[row.start : row.end] for row in rows), *after]


def _header_rows(item: _Candidate) -> list[Span]:
    """Return the first row of a table, and those below it that give units or name columns: up to two rows
    without a number, if numbers follow."""
    first, *others = _rows(item)
    below = list(takewhile(lambda row: not _NUMBER.search(item.hit.text, row.start, row.end), others))
    return [first, *below] if len(below) <= MAX_HEADER_ROWS and len(below) < len(others) else [first]


def _body_rows(item: _Candidate) -> list[Span]:
    return _rows(item)[len(_header_rows(item)) :]


def _rows(item: _Candidate) -> list[Span]:
    first, *others = item.block.lines
    return [first, *(line for line in others if not _is_rule(item.hit.text[line.start : line.end]))]


def _quote_start(item: _Candidate, rows: Sequence[Span]) -> int:
    """Return where the quote starts: at the header, unless other rows are between it and these."""
    return item.block.start if rows[0] == _body_rows(item)[0] else rows[0].start


def _is_rule(line: str) -> bool:
    return not line.strip(" |:-+")


def _render_table(lines: Sequence[str]) -> str:
    rows = [[escape_quoted_text(cell) for cell in _split_cells(line)] for line in lines]
    width = max(len(row) for row in rows)
    written = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
    return _blockquote("\n".join([written[0], "|" + " --- |" * width, *written[1:]]))


def _split_cells(line: str) -> list[str]:
    """Split a row, which may have a bar on both sides. A bar on one side only belongs to an empty cell."""
    mark = CELL_SEPARATOR.strip()
    cells = [cell.strip() for cell in line.strip().split(mark)]
    is_framed = len(cells) > 2 and not (cells[0] or cells[-1])
    return cells[1:-1] if is_framed else cells


def _render_code_parts(item: _Candidate) -> Iterator[str]:
    for is_code, lines in _group_lines(item):
        texts = [line.text for line in lines]
        yield from map(_render_code, texts) if is_code else [escape_quoted_text(" ".join(texts))]


def _render_list_parts(item: _Candidate) -> Iterator[str]:
    """Yield the lists between the pieces of code, and the code."""
    for is_code, lines in _group_lines(item):
        yield from (_render_code(line.text) for line in lines) if is_code else _render_lists(lines)


def _group_lines(item: _Candidate) -> Iterator[tuple[bool, list[ListLine]]]:
    """Yield runs of lines that are code, and of lines that aren't."""
    text, block = item.hit.text, item.block
    for is_code, run in groupby(enumerate(block.lines), key=lambda line: line[1] in block.code):
        yield (
            is_code,
            [ListLine(text[line.start : line.end], continues_item(text, block, at)) for at, line in run],
        )


def _render_code(code: str) -> str:
    """Write code in a fence longer than any inside, so that nothing in it can close the fence."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{code}\n{fence}"


def _render_lists(lines: Sequence[ListLine]) -> Iterator[str]:
    yield from map(_render_list, split_at_leads(lines))


def _render_list(lines: Sequence[ListLine]) -> str:
    """Write a list. The first line is a lead-in if it ends with a colon, or if it alone has no bullet."""
    first, *others = (line.text for line in lines)
    leads = first.endswith(":") or (not is_bulleted(first) and any(map(is_bulleted, others)))
    lead, items = ([escape_quoted_text(first), ""], lines[1:]) if leads else ([], lines)
    rendered = render_items(items, escape_quoted_text)
    if rendered is None:
        rendered = ["\n\n".join(_escape_numbers(item.text) for item in items)]
    return "\n".join([*lead, *rendered]).rstrip("\n")


def _escape_numbers(line: str) -> str:
    """Escape a line so that a number at its start shows as written and doesn't begin a list."""
    return _LEADING_NUMBER.sub(r"\1\\\2", escape_quoted_text(line))


def _blockquote(markdown: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in markdown.split("\n"))


def escape_markdown(text: str) -> str:
    """Escape the text so that it shows as written: nothing acts as Markdown or reads as one of our
    markers."""
    return _SPECIAL.sub(lambda match: f"\\{match.group()}", text)


def escape_quoted_text(text: str) -> str:
    """Escape a document's text without marks that mean something in the document only."""
    return escape_markdown(clean_quoted_text(text))
