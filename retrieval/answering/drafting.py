"""The answer while it grows: what is kept, what is held back, which marker stands for which quote."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from cairn.text import visible
from retrieval.answering.extractive import Extract
from retrieval.answering.lexicon import Language, language_of
from retrieval.answering.markers import marker, take_markers
from retrieval.answering.markup import code_block, escaped_brackets, harmless
from retrieval.answering.protocols import Locate, SentenceCheck
from retrieval.answering.remarks import ABSTAINS, INTRODUCTION, META
from retrieval.answering.sentences import Kind, Unit
from retrieval.answering.support import Ground, Support
from retrieval.answering.tables import Table, read_table
from retrieval.answering.terms import content_stems, covered
from retrieval.answering.wording import say
from retrieval.types import AnswerEvent, CheckedSentence, Citation, Cited, Delta, Hit

STRICT, FLAG = "strict", "flag"
REPEATS = 3  # repetitions after which the model is taken to go round in circles
FAILURES = 3  # unsupported sentences in a row, before any that holds, after which it is not heard on
UNSUPPORTED = "[?]"
"""Stands behind a sentence that is shown though nothing supports it."""
FAILURES_LATER = 5  # the same, after some that held
RELEVANT = 0.65  # cosine of the question and what is said
FAINT = 0.35  # the same for what hardly any of the evidence is nearer to
BEHIND = 0.1  # what the nearest sentence of the evidence may be nearer, at most
MOST = 0.5  # share of the question's content words in a sentence and its quote
NEARLY_ALL = 0.8  # the same with the headings
SHORTEST_ITEM = 3  # content words of a list item that may open an answer

_BARE = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text ready to be shown, with the citations that appear in it."""

    lead: str
    text: str
    citations: tuple[Citation, ...] = ()


@dataclass(slots=True)
class Draft:
    """Takes the model's units one by one and yields what may be shown.

    Nothing is shown before a sentence holds that says something about the question: what comes before it
    waits. A heading, or a sentence that ends with a colon, waits for what it announces. Each row of a table
    is a sentence; code is copied from a passage line by line, or does not hold. Drafts of the parts of one
    answer share `citations`, `markers` and `said`. `selects`: the model is trusted to say what is asked for.
    """

    question: str
    checker: SentenceCheck
    locate: Locate
    grounding: str
    language: Language
    selects: bool = False
    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    sentences: list[CheckedSentence] = field(default_factory=list)
    abstained: bool = False
    repeats: int = 0
    failures: int = 0
    lost: int = 0  # sentences that did not hold, whether left out or flagged
    markers: dict[tuple[object, str], int] = field(default_factory=dict)
    _waiting: list[_Piece] = field(default_factory=list)
    _announced: list[_Piece] = field(default_factory=list)
    said: list[frozenset[str]] = field(default_factory=list)
    _orphan: tuple[str, str] | None = None  # lead and bullet of an item whose first sentence was dropped
    _opened: bool = False

    @property
    def opened(self) -> bool:
        return self._opened

    @property
    def hopeless(self) -> bool:
        return self.repeats >= REPEATS or self.failures >= (FAILURES_LATER if self._opened else FAILURES)

    def take(self, unit: Unit, *, last: bool = False) -> Iterator[AnswerEvent]:
        """`last`: nothing follows, so that the unit may have been cut short."""
        body, cited = _body(unit)
        if not body:
            return
        if reason := self._not_worth_checking(unit, body, last=last):
            self._drop(unit, body, reason)
        elif _announces(unit, body):
            yield from self._announcing(unit, body)
        elif unit.kind is Kind.TABLE:
            yield from self._tabled(unit, read_table(body), cited)
        else:
            yield from self._checked(unit, body, cited)

    def quote(self, extracts: Sequence[Extract]) -> Iterator[AnswerEvent]:
        """Adds blocks word for word, each with its marker."""
        self._opened = True
        for extract in extracts:
            citation = self._citation(Ground(extract.hit, extract.quote))
            numbers = (citation.marker,)
            self.sentences.append(CheckedSentence(extract.quote, supported=True, markers=numbers))
            text = _marked(extract.markdown, numbers)
            yield from self._show(_Piece("\n\n", text, (citation,)))

    def remark(
        self, wording: Callable[[Sequence[str]], str], grounds: Sequence[Ground]
    ) -> Iterator[AnswerEvent]:
        """Adds a sentence of Cairn's own about what these grounds say; `wording` gets their markers."""
        citations = tuple(self._citation(ground) for ground in grounds)
        numbers = tuple(citation.marker for citation in citations)
        text = wording([marker((number,)) for number in numbers])
        self.sentences.append(CheckedSentence(text, supported=True, markers=numbers))
        yield from self._show(_Piece("\n\n", text, citations))

    def _not_worth_checking(self, unit: Unit, body: str, *, last: bool) -> str:
        if ABSTAINS.search(body):
            self.abstained = True
            return say("abstained", self.language)
        if META.fullmatch(body) or not _BARE.sub("", body):
            self.repeats += 1
            return say("meta", self.language)
        if last and self.sentences and unit.kind is Kind.SENTENCE and not unit.prefix and not _ends(body):
            return say("unfinished", self.language)
        if self._nothing_new(body):
            self.repeats += 1
            return say("repeated", self.language)
        return ""

    def _nothing_new(self, body: str) -> bool:
        stems = content_stems(body, self.language) or frozenset({body})
        known = any(stems <= earlier for earlier in self.said)
        self.said.append(stems)
        return known

    def _announcing(self, unit: Unit, body: str) -> Iterator[AnswerEvent]:
        if self.checker.announces(_plain(body)):
            self._announced.append(_Piece(_lead(unit), f"{unit.prefix}{escaped_brackets(body)}"))
        else:
            yield from self._unsupported(unit, body, say("meaning", self.language))

    def _checked(self, unit: Unit, body: str, cited: tuple[int, ...]) -> Iterator[AnswerEvent]:
        support = self.checker.check(_plain(body), cited)
        if not support.grounds or (unit.kind is Kind.CODE and not _is_copied(body, support.grounds)):
            self.failures += 1
            yield from self._unsupported(unit, body, support.reason or say("meaning", self.language))
            return
        citations, numbers = self._kept(body, support.grounds)
        yield from self._held(unit, body, _marked(_shown(unit, body), numbers), citations, support)

    def _tabled(self, unit: Unit, table: Table, cited: tuple[int, ...]) -> Iterator[AnswerEvent]:
        """With the rows that hold; in `flag` with the others, too, each with its mark."""
        rows: list[str] = []
        found: list[Support] = []
        for row in table.rows:
            support = self.checker.check(table.sentence(row), cited)
            if support.grounds:
                found.append(support)
                self._kept(row, support.grounds)
                rows.append(row)
            else:
                self.lost += 1
                self._drop(unit, row, support.reason)
                rows += [table.noted(row, UNSUPPORTED)] if self.grounding == FLAG else []
        if not found:
            self.failures += 1
            return
        grounds = tuple(ground for support in found for ground in support.grounds)
        citations = tuple(dict.fromkeys(self._citation(ground) for ground in grounds))
        numbers = tuple(dict.fromkeys(citation.marker for citation in citations))
        text = _marked(escaped_brackets(table.written(rows)), numbers)
        support = Support(
            grounds,
            relevance=max(support.relevance for support in found),
            behind=min(support.behind for support in found),
        )
        yield from self._held(unit, table.written(rows), text, citations, support)

    def _kept(self, body: str, grounds: Sequence[Ground]) -> tuple[tuple[Citation, ...], tuple[int, ...]]:
        self.failures = 0
        citations = tuple(self._citation(ground) for ground in grounds)
        numbers = tuple(dict.fromkeys(citation.marker for citation in citations))
        self.sentences.append(CheckedSentence(body, supported=True, markers=numbers))
        return citations, numbers

    def _held(
        self, unit: Unit, body: str, text: str, citations: tuple[Citation, ...], support: Support
    ) -> Iterator[AnswerEvent]:
        self._announce()
        self._waiting.append(self._placed(unit, text, citations))
        if self._opened or self._to_the_point(unit, body, support):
            self._opened = True
            yield from self._release()

    def _unsupported(self, unit: Unit, body: str, reason: str) -> Iterator[AnswerEvent]:
        self.lost += 1
        self._drop(unit, body, reason)
        if self.grounding == FLAG:
            self._announce()
            self._waiting.append(self._placed(unit, _noted(_shown(unit, body)), ()))
            if self._opened:
                yield from self._release()

    def _drop(self, unit: Unit, body: str, reason: str) -> None:
        self.sentences.append(CheckedSentence(body, supported=False, reason=reason))
        if unit.prefix and self._orphan is None:
            self._orphan = (unit.lead, unit.prefix)

    def _placed(self, unit: Unit, text: str, citations: tuple[Citation, ...]) -> _Piece:
        """A later sentence of an item takes over the bullet of one that was dropped."""
        orphan, self._orphan = self._orphan, None
        if orphan and not unit.prefix and "\n" not in unit.lead:
            return _Piece(orphan[0], f"{orphan[1]}{text}", citations)
        return _Piece(_lead(unit), f"{unit.prefix}{text}", citations)

    def _announce(self) -> None:
        self._waiting += self._announced
        self._announced.clear()

    def _release(self) -> Iterator[AnswerEvent]:
        waiting, self._waiting = self._waiting, []
        for piece in waiting:
            yield from self._show(piece)

    def _show(self, piece: _Piece) -> Iterator[AnswerEvent]:
        for citation in piece.citations:
            if citation not in self.citations:
                self.citations.append(citation)
                yield Cited(citation)
        delta = f"{(piece.lead or ' ') if self.text else ''}{piece.text}"
        self.text += delta
        yield Delta(delta)

    def forget_waiting(self) -> None:
        """What never got shown is no part of the answer; its sentences no longer count as kept."""
        self._waiting.clear()
        self._announced.clear()
        shown = {citation.marker for citation in self.citations}
        for key in [key for key, number in self.markers.items() if number not in shown]:
            del self.markers[key]
        self.sentences = [replace(item, supported=False, markers=()) for item in self.sentences]

    def _to_the_point(self, unit: Unit, body: str, support: Support) -> bool:
        """Speaks of most of what is asked, in the question's words or near them in meaning."""
        quotes = " ".join(ground.quote for ground in support.grounds)
        headings = " ".join(
            f"{ground.hit.title} {' '.join(ground.hit.section)}" for ground in support.grounds
        )
        if language_of(quotes) != self.language or self._is_near(support):
            return True
        asked = content_stems(self.question, self.language)
        said = content_stems(body, self.language)
        if unit.prefix and len(said) < SHORTEST_ITEM:
            return False
        told = said | content_stems(quotes, self.language)
        if not asked or covered(asked, told) > MOST:
            return True
        return covered(asked, told | content_stems(headings, self.language)) >= NEARLY_ALL

    def _is_near(self, support: Support) -> bool:
        """In itself; or as near as the evidence gets, since nothing is very near to a question in other
        words: a small model finds such sentences by chance."""
        near_enough = support.relevance >= FAINT and support.behind <= BEHIND
        return support.relevance >= RELEVANT or (self.selects and near_enough)

    def _citation(self, ground: Ground) -> Citation:
        number = self.markers.setdefault((ground.hit.chunk, ground.quote), len(self.markers) + 1)
        return _citation(number, ground.hit, ground.quote, self.locate)


def _citation(number: int, hit: Hit, quote: str, locate: Locate) -> Citation:
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
    )


def _body(unit: Unit) -> tuple[str, tuple[int, ...]]:
    """Without markers and whatever else is no text, and the numbers of the passages it cites."""
    if unit.kind is Kind.CODE:
        return _code(visible(unit.body)), ()
    body, cited = take_markers(unit.body)
    body, more = take_markers(harmless(body))
    stripped = INTRODUCTION.sub("", body)
    named: tuple[int, ...] = ()
    if stripped and stripped != body:
        named = tuple(int(number) for number in re.findall(r"\d{1,4}", body[: len(body) - len(stripped)]))
        body = stripped[0].upper() + stripped[1:]
    return body, (*cited, *more, *named)


def _code(block: str) -> str:
    """Without its fences; the last one may be missing."""
    lines = block.split("\n")[1:]
    if lines and not lines[-1].strip().strip("`~"):
        lines.pop()
    return "\n".join(lines).strip("\n")


def _is_copied(code: str, grounds: Sequence[Ground]) -> bool:
    lines = [line.strip() for line in code.split("\n") if line.strip()]
    return all(any(line in ground.hit.text for ground in grounds) for line in lines)


def _shown(unit: Unit, body: str) -> str:
    return code_block(body) if unit.kind is Kind.CODE else escaped_brackets(body)


def _lead(unit: Unit) -> str:
    """Only an item is indented: what is not would be shown as code. A block begins a paragraph."""
    if unit.kind in (Kind.TABLE, Kind.CODE):
        return "\n\n"
    return unit.lead if unit.prefix or "\n" not in unit.lead else unit.lead.rstrip(" \t")


def _ends(body: str) -> bool:
    return body.rstrip("\"'”’»)*_ ")[-1:] in set(".!?…:。！？؟।॥۔")  # noqa: RUF001


def _announces(unit: Unit, body: str) -> bool:
    return unit.kind is Kind.HEADING or (unit.kind is Kind.SENTENCE and body.rstrip("*_ ").endswith(":"))


def _plain(body: str) -> str:
    return re.sub(r"\*\*|__", "", body)


def _marked(text: str, numbers: tuple[int, ...]) -> str:
    return _followed(text, marker(numbers))


def _noted(text: str) -> str:
    return _followed(text, UNSUPPORTED)


def _followed(text: str, mark: str) -> str:
    """Behind a sentence or a quoted paragraph; on a line of its own behind a table, list or code block."""
    last = text.rpartition("\n")[2]
    own_line = last.lstrip("> ").startswith(("|", "```", "~~~"))
    return f"{text}\n\n{mark}" if own_line else f"{text} {mark}"
