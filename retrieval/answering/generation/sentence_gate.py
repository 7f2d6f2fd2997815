"""The gate between the model's stream and the answer: only supported sentences pass."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cairn.answers import Grounding
from cairn.hidden_characters import visible
from cairn.library.links import Link, links_between
from retrieval.answering.generation.extractive import Extract
from retrieval.answering.generation.relevance import RelevanceToQuestion
from retrieval.answering.grounding.check import Ground, Support
from retrieval.answering.grounding.substance import adds_something
from retrieval.answering.protocols import Locate, SentenceCheck
from retrieval.answering.text.citation_markers import format_markers, strip_markers
from retrieval.answering.text.lexicon import Language, language_of
from retrieval.answering.text.markdown_filter import escape_brackets, format_code_block, sanitize_markdown
from retrieval.answering.text.markdown_tables import Table, read_table
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.meta_text import ABSTAINS, INTRODUCTION, META
from retrieval.answering.text.sentences import Kind, Unit
from retrieval.answering.text.terms import content_stems, coverage
from retrieval.types import AnswerEvent, CheckedSentence, Citation, Cited, Delta, Hit

MAX_REPEATS = 3  # repetitions after which the model counts as looping
# Unsupported sentences in a row after which generation stops, before and after the first supported one.
MAX_UNSUPPORTED_BEFORE_FIRST = 3
MAX_UNSUPPORTED_IN_A_ROW = 5
UNSUPPORTED_SUFFIX = "[?]"
"""Mark behind an unsupported sentence that is shown anyway."""
MIN_RELEVANCE = 0.65  # cosine of the question and the sentence
# The same for a sentence whose relevance is within MAX_RELEVANCE_GAP of the most relevant evidence.
MIN_SELECTED_RELEVANCE = 0.35
MAX_RELEVANCE_GAP = 0.1
MIN_QUESTION_COVERAGE = 0.5  # share of the question's content words in a sentence and its quote
MIN_COVERAGE_WITH_HEADINGS = 0.8  # the same with the headings
MIN_ITEM_WORDS = 3  # content words of a list item that may open an answer

_BARE = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text ready to be shown, with its citations."""

    lead: str
    text: str
    citations: tuple[Citation, ...] = ()


@dataclass(slots=True)
class SentenceGate:
    """Takes the model's units one by one and returns what may be shown.

    Nothing is shown before a supported sentence that is about the question; earlier ones wait. A heading, or
    a sentence that ends with a colon, waits for what it announces. Each row of a table counts as a sentence;
    code must be copied line by line from a passage. Gates of one answer's parts share `citations`, `markers`
    and `seen_stems`. `selects`: the model is trusted to pick relevant sentences. `relevance`: rates
    the sentence that an answer begins with; None without a reranker.
    """

    question: str
    checker: SentenceCheck
    locate: Locate
    grounding: str
    language: Language
    selects: bool = False
    relevance: RelevanceToQuestion | None = None
    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    sentences: list[CheckedSentence] = field(default_factory=list)
    abstained: bool = False
    repeats: int = 0
    failures: int = 0
    unsupported_count: int = 0  # sentences that did not hold, whether left out or flagged
    quotes_preferred: bool = False  # to sentences that passages support
    markers: dict[tuple[object, str], int] = field(default_factory=dict)
    _pending: list[_Piece] = field(default_factory=list)
    _announced: list[_Piece] = field(default_factory=list)
    seen_stems: list[frozenset[str]] = field(default_factory=list)
    _orphan: tuple[str, str] | None = None  # lead and bullet of an item whose first sentence was dropped
    _opened: bool = False

    @property
    def opened(self) -> bool:
        return self._opened

    @property
    def is_hopeless(self) -> bool:
        return self.repeats >= MAX_REPEATS or self.failures >= (
            MAX_UNSUPPORTED_IN_A_ROW if self._opened else MAX_UNSUPPORTED_BEFORE_FIRST
        )

    def feed(self, unit: Unit, *, last: bool = False) -> list[AnswerEvent]:
        """Check one unit. `last`: nothing follows, so the unit may be cut off."""
        body, cited = _clean_body(unit)
        if not body:
            return []
        if reason := self._rejection_reason(unit, body, last=last):
            self._drop(unit, body, reason)
            return []
        if _is_announcement(unit, body):
            return self._feed_announcement(unit, body)
        if unit.kind is Kind.TABLE:
            return self._feed_table(unit, read_table(body), cited)
        return self._feed_sentence(unit, body, cited)

    def add_quotes(self, extracts: Sequence[Extract]) -> list[AnswerEvent]:
        """Add blocks quoted verbatim, each with its marker."""
        self._opened = True
        events: list[AnswerEvent] = []
        for extract in extracts:
            citation = self._citation(Ground(extract.hit, extract.quote))
            numbers = (citation.marker,)
            self.sentences.append(CheckedSentence(extract.quote, supported=True, markers=numbers))
            text = _with_markers(extract.markdown, numbers)
            events += self._show(_Piece("\n\n", text, (citation,)))
        return events

    def add_note(
        self, render: Callable[[Sequence[str]], str], grounds: Sequence[Ground]
    ) -> list[AnswerEvent]:
        """Add one of Cairn's own sentences about these grounds; `render` gets their markers."""
        citations = tuple(self._citation(ground) for ground in grounds)
        numbers = tuple(citation.marker for citation in citations)
        text = render([format_markers((number,)) for number in numbers])
        self.sentences.append(CheckedSentence(text, supported=True, markers=numbers))
        return self._show(_Piece("\n\n", text, citations))

    def _rejection_reason(self, unit: Unit, body: str, *, last: bool) -> str:
        if ABSTAINS.search(body):
            self.abstained = True
            return render_message("abstained", self.language)
        if META.fullmatch(body) or not _BARE.sub("", body):
            self.repeats += 1
            return render_message("meta", self.language)
        if (
            last
            and self.sentences
            and unit.kind is Kind.SENTENCE
            and not unit.prefix
            and not _ends_sentence(body)
        ):
            return render_message("unfinished", self.language)
        if not _is_announcement(unit, body) and not self._adds_something(unit, body):
            self.repeats += 1
            return render_message("meta", self.language)
        if self._is_repetition(body):
            self.repeats += 1
            return render_message("repeated", self.language)
        return ""

    def _adds_something(self, unit: Unit, body: str) -> bool:
        return unit.kind is not Kind.SENTENCE or adds_something(
            _strip_bold(body), self.question, self.language
        )

    def _is_repetition(self, body: str) -> bool:
        stems = content_stems(body, self.language) or frozenset({body})
        known = any(stems <= earlier for earlier in self.seen_stems)
        self.seen_stems.append(stems)
        return known

    def _feed_announcement(self, unit: Unit, body: str) -> list[AnswerEvent]:
        if not self.checker.announces(_strip_bold(body)):
            return self._reject_unsupported(unit, body, render_message("meaning", self.language))
        self._announced.append(_Piece(_lead(unit), f"{unit.prefix}{escape_brackets(body)}"))
        return []

    def _feed_sentence(self, unit: Unit, body: str, cited: tuple[int, ...]) -> list[AnswerEvent]:
        support = self.checker.check(_strip_bold(body), cited)
        if not support.grounds or (unit.kind is Kind.CODE and not _is_copied(body, support.grounds)):
            self.failures += 1
            return self._reject_unsupported(
                unit, body, support.reason or render_message("meaning", self.language)
            )
        citations, numbers = self._accept(body, support.grounds)
        return self._enqueue_supported(
            unit, body, _with_markers(_render_unit(unit, body), numbers), citations, support
        )

    def _feed_table(self, unit: Unit, table: Table, cited: tuple[int, ...]) -> list[AnswerEvent]:
        """Show the supported rows; with grounding `flag` also the others, each with its mark."""
        rows: list[str] = []
        found: list[Support] = []
        for row in table.rows:
            support = self.checker.check(table.row_sentence(row), cited)
            if support.grounds:
                found.append(support)
                self._accept(row, support.grounds)
                rows.append(row)
            else:
                self.unsupported_count += 1
                self._drop(unit, row, support.reason)
                rows += [table.with_mark(row, UNSUPPORTED_SUFFIX)] if self.grounding == Grounding.FLAG else []
        if not found:
            self.failures += 1
            return []
        grounds = tuple(ground for support in found for ground in support.grounds)
        citations = tuple(dict.fromkeys(self._citation(ground) for ground in grounds))
        numbers = tuple(dict.fromkeys(citation.marker for citation in citations))
        text = _with_markers(escape_brackets(table.render(rows)), numbers)
        support = Support(
            grounds,
            relevance=max(support.relevance for support in found),
            relevance_gap=min(support.relevance_gap for support in found),
        )
        return self._enqueue_supported(unit, table.render(rows), text, citations, support)

    def _accept(self, body: str, grounds: Sequence[Ground]) -> tuple[tuple[Citation, ...], tuple[int, ...]]:
        self.failures = 0
        citations = tuple(self._citation(ground) for ground in grounds)
        numbers = tuple(dict.fromkeys(citation.marker for citation in citations))
        self.sentences.append(CheckedSentence(body, supported=True, markers=numbers))
        return citations, numbers

    def _enqueue_supported(
        self, unit: Unit, body: str, text: str, citations: tuple[Citation, ...], support: Support
    ) -> list[AnswerEvent]:
        self._enqueue_announced()
        self._pending.append(self._make_piece(unit, text, citations))
        self._opened = self._opened or self._is_on_topic(unit, body, support)
        return self._release()

    def _reject_unsupported(self, unit: Unit, body: str, reason: str) -> list[AnswerEvent]:
        self.unsupported_count += 1
        self._drop(unit, body, reason)
        if self.grounding == Grounding.FLAG:
            self._enqueue_announced()
            self._pending.append(self._make_piece(unit, _with_unsupported_mark(_render_unit(unit, body)), ()))
            return self._release()
        return []

    def _drop(self, unit: Unit, body: str, reason: str) -> None:
        self.sentences.append(CheckedSentence(body, supported=False, reason=reason))
        if unit.prefix and self._orphan is None:
            self._orphan = (unit.lead, unit.prefix)

    def _make_piece(self, unit: Unit, text: str, citations: tuple[Citation, ...]) -> _Piece:
        """Build a piece. A later sentence of a list item takes over the bullet of a dropped one."""
        orphan, self._orphan = self._orphan, None
        if orphan and not unit.prefix and "\n" not in unit.lead:
            return _Piece(orphan[0], f"{orphan[1]}{text}", citations)
        return _Piece(_lead(unit), f"{unit.prefix}{text}", citations)

    def _enqueue_announced(self) -> None:
        self._pending += self._announced
        self._announced.clear()

    def _release(self) -> list[AnswerEvent]:
        """Show pending sentences, once one was about the question."""
        if not self._opened:
            return []
        shown, self._pending = self._pending, []
        return [event for piece in shown for event in self._show(piece)]

    def _show(self, piece: _Piece) -> list[AnswerEvent]:
        new = [citation for citation in dict.fromkeys(piece.citations) if citation not in self.citations]
        self.citations += new
        delta = f"{(piece.lead or ' ') if self.text else ''}{piece.text}"
        self.text += delta
        return [*map(Cited, new), Delta(delta)]

    def discard_pending(self) -> None:
        """Discard sentences that were never shown; they no longer count as supported, although passages may
        support them."""
        self._pending.clear()
        self._announced.clear()
        shown = {citation.marker for citation in self.citations}
        for key in [key for key, number in self.markers.items() if number not in shown]:
            del self.markers[key]
        self.quotes_preferred = any(item.supported for item in self.sentences)
        reason = render_message("less_relevant", self.language)
        self.sentences = [
            replace(item, supported=False, markers=(), reason=reason) if item.supported else item
            for item in self.sentences
        ]

    def _is_on_topic(self, unit: Unit, body: str, support: Support) -> bool:
        """Return whether it covers most of the question, in the same words or in meaning, and is as relevant
        as a quote would be. If the reranker can't say so, the model isn't trusted to have selected it."""
        is_near_best = self.relevance is None or self.relevance.is_near_best(body)
        if is_near_best is False:
            return False
        quotes = " ".join(ground.quote for ground in support.grounds)
        headings = " ".join(
            f"{ground.hit.title} {' '.join(ground.hit.section)}" for ground in support.grounds
        )
        if language_of(quotes) != self.language or self._is_relevant(
            support, selected=self.selects and bool(is_near_best)
        ):
            return True
        asked = content_stems(self.question, self.language)
        sentence_stems = content_stems(body, self.language)
        if unit.prefix and len(sentence_stems) < MIN_ITEM_WORDS:
            return False
        covered_stems = sentence_stems | content_stems(quotes, self.language)
        if not asked or coverage(asked, covered_stems) > MIN_QUESTION_COVERAGE:
            return True
        return (
            coverage(asked, covered_stems | content_stems(headings, self.language))
            >= MIN_COVERAGE_WITH_HEADINGS
        )

    def _is_relevant(self, support: Support, *, selected: bool) -> bool:
        """Return whether the sentence is relevant or, if a model trusted to do so selected it, at least as
        relevant as the evidence gets: no sentence is very similar to a question in other words, and a small
        model finds such sentences by chance."""
        near_enough = (
            support.relevance >= MIN_SELECTED_RELEVANCE and support.relevance_gap <= MAX_RELEVANCE_GAP
        )
        return support.relevance >= MIN_RELEVANCE or (selected and near_enough)

    def _citation(self, ground: Ground) -> Citation:
        number = self.markers.setdefault((ground.hit.chunk, ground.quote), len(self.markers) + 1)
        return build_citation(number, ground.hit, ground.quote, self.locate)


def build_citation(number: int, hit: Hit, quote: str, locate: Locate) -> Citation:
    place = locate(hit, quote)
    return Citation(
        marker=number,
        chunk=hit.chunk,
        document=hit.document,
        version=hit.version,
        title=hit.title,
        page=place.page if place.page is not None else hit.page,
        section=hit.section,
        quote=quote,
        boxes=place.boxes,
        location=place.location,
        links=_quoted_links(hit, quote),
    )


def _quoted_links(hit: Hit, quote: str) -> tuple[Link, ...]:
    start = hit.text.find(quote)
    return links_between(hit.links, start, start + len(quote)) if start >= 0 else ()


def _clean_body(unit: Unit) -> tuple[str, tuple[int, ...]]:
    """Return the text without markers and markup, and the numbers of the passages it cites."""
    if unit.kind is Kind.CODE:
        return strip_fences(visible(unit.body)), ()
    body, cited = strip_markers(unit.body)
    body, more = strip_markers(sanitize_markdown(body))
    stripped = INTRODUCTION.sub("", body)
    named: tuple[int, ...] = ()
    if stripped and stripped != body:
        named = tuple(int(number) for number in re.findall(r"\d{1,4}", body[: len(body) - len(stripped)]))
        body = stripped[0].upper() + stripped[1:]
    return body, (*cited, *more, *named)


def strip_fences(block: str) -> str:
    """Return the code without its fences; the closing one may be missing."""
    lines = block.split("\n")[1:]
    if lines and not lines[-1].strip().strip("`~"):
        lines.pop()
    return "\n".join(lines).strip("\n")


def _is_copied(code: str, grounds: Sequence[Ground]) -> bool:
    lines = [line.strip() for line in code.split("\n") if line.strip()]
    return all(any(line in ground.hit.text for ground in grounds) for line in lines)


def _render_unit(unit: Unit, body: str) -> str:
    return format_code_block(body) if unit.kind is Kind.CODE else escape_brackets(body)


def _lead(unit: Unit) -> str:
    """Return the white space before a unit. Only list items keep an indentation, which would turn other text
    into code; tables and code start a paragraph."""
    if unit.kind in (Kind.TABLE, Kind.CODE):
        return "\n\n"
    return unit.lead if unit.prefix or "\n" not in unit.lead else unit.lead.rstrip(" \t")


def _ends_sentence(body: str) -> bool:
    return body.rstrip("\"'”’»)*_ ")[-1:] in set(".!?…:。！？؟।॥۔")  # noqa: RUF001


def _is_announcement(unit: Unit, body: str) -> bool:
    return unit.kind is Kind.HEADING or (unit.kind is Kind.SENTENCE and body.rstrip("*_ ").endswith(":"))


def _strip_bold(body: str) -> str:
    return re.sub(r"\*\*|__", "", body)


def _with_markers(text: str, numbers: tuple[int, ...]) -> str:
    return append_mark(text, format_markers(numbers))


def _with_unsupported_mark(text: str) -> str:
    return append_mark(text, UNSUPPORTED_SUFFIX)


def append_mark(text: str, mark: str) -> str:
    """Append a mark to a sentence or quoted paragraph, or on its own line to a table, list or code block."""
    last = text.rpartition("\n")[2]
    own_line = last.lstrip("> ").startswith(("|", "```", "~~~"))
    return f"{text}\n\n{mark}" if own_line else f"{text} {mark}"
