"""Does a passage say what a sentence says? If so, with which words?

A sentence holds when one window of a chunk (one to three neighbouring sentences, or a whole block) has its
figures, says nothing of the opposite and is near enough in meaning, and the window's passage has its names.
The thresholds were set by hand on 76 sentences that SmolLM2-135M wrote about a real handbook, each labelled
as borne out by its best window or not, so that hardly any false one holds; some true ones are lost.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import numpy as np

from cairn.inference.protocols import Embedder, NaturalLanguageInference, Vectors
from retrieval.answering.blocks import Shape, Span, blocks, sentences_in
from retrieval.answering.entailment import Meaning, meanings
from retrieval.answering.evidence import Passage
from retrieval.answering.lexicon import Language, language_of
from retrieval.answering.names import unsupported_names
from retrieval.answering.negation import contradicts
from retrieval.answering.quantities import other_figures, unsupported_figures
from retrieval.answering.terms import content_stems, covered
from retrieval.answering.wording import say
from retrieval.types import Hit

COPIED_WORDS = 0.95  # share of a sentence's content words in the window: it is as good as copied
COPIED_COSINE = 0.5
WORDS = 0.8
COSINE = 0.72
ECHO_COSINE = 0.85  # for a sentence that says only what the question said, such as "Yes, you can do that."
FULL = 4  # content words; a shorter sentence means something only together with the question
COSINE_ACROSS_LANGUAGES = 0.75  # where words cannot be compared
LONGEST_WINDOW = 3
LONGEST_QUOTE = 1500
MOST_PIECES = 160  # sentences of the evidence that are embedded
TRIED = 6  # windows of a passage that are looked at closely
PER_SENTENCE = 0.04  # what a further sentence in a quote must gain


@dataclass(frozen=True, slots=True)
class Ground:
    """`quote` stands word for word in the hit's text."""

    hit: Hit
    quote: str


@dataclass(frozen=True, slots=True)
class Support:
    """`grounds` is empty when nothing supports the sentence; `reason` then says why.

    `relevance`: cosine of the question and the nearest of the sentence and its quotes.
    """

    grounds: tuple[Ground, ...] = ()
    reason: str = ""
    relevance: float = 0.0


@dataclass(frozen=True, slots=True)
class _Piece:
    passage: Passage
    hit: Hit
    span: Span
    stems: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Window:
    passage: Passage
    hit: Hit
    quote: str
    pieces: range
    stems: frozenset[str]
    topic: frozenset[str]  # stems of its headings; among `stems`, too


@dataclass(frozen=True, slots=True)
class _Scored:
    window: _Window
    words: float
    cosine: float
    relevance: float

    @property
    def score(self) -> float:
        return self.words + self.cosine - PER_SENTENCE * (len(self.window.pieces) - 1)


class SentenceChecker:
    def __init__(
        self,
        evidence: Sequence[Passage],
        embedder: Embedder,
        *,
        question: str,
        speaks: Language,
        inference: NaturalLanguageInference | None = None,
    ) -> None:
        """`speaks`: the language that reasons are given in. `inference` takes the place of nearness."""
        self._evidence = evidence
        self._embedder = embedder
        self._inference = inference
        self._speaks: Language = speaks
        self._language = language_of(" ".join(passage.text for passage in evidence))
        self._question = question
        self._asked = content_stems(question, self._language)

    def check(self, sentence: str, cited: Sequence[int]) -> Support:
        """Cited passages that support it, else the best other passage that does."""
        scored = self._scored(sentence)
        by_passage = {
            passage.number: [item for item in scored if item.window.passage is passage]
            for passage in self._evidence
        }
        named = [by_passage[number] for number in cited if number in by_passage]
        known: dict[int, Meaning] = {}
        found = self._firsts(sentence, named, known) or self._firsts(sentence, [scored], known)
        if found:
            grounds = tuple(Ground(item.window.hit, item.window.quote) for item in found)
            return Support(grounds, relevance=max(item.relevance for item in found))
        reason = self._problem(sentence, scored[0], known) if scored else say("meaning", self._speaks)
        return Support(reason=reason)

    def _firsts(
        self, sentence: str, rankings: Sequence[Sequence[_Scored]], known: dict[int, Meaning]
    ) -> list[_Scored]:
        """Of each ranking the first that holds, if one does."""
        tried = [ranking[:TRIED] for ranking in rankings]
        known |= self._meanings(sentence, [item for ranking in tried for item in ranking], known)
        held = (
            next((item for item in ranking if not self._problem(sentence, item, known)), None)
            for ranking in tried
        )
        return [item for item in held if item]

    def _meanings(
        self, sentence: str, tried: Sequence[_Scored], known: Mapping[int, Meaning]
    ) -> dict[int, Meaning]:
        """By the model, all at once, of those windows that nothing else speaks against, by their id."""
        if self._inference is None:
            return {}
        hypothesis = self._meant(sentence)
        unknown = [item for item in tried if id(item.window) not in known]
        windows = [item.window for item in unknown if not self._conflict(sentence, item)]
        pairs = [(f"{window.passage.heading}\n{window.quote}", hypothesis) for window in windows]
        found = meanings(self._inference, pairs)
        return {} if found is None else dict(zip(map(id, windows), found, strict=True))

    def _problem(self, sentence: str, item: _Scored, known: Mapping[int, Meaning]) -> str:
        if conflict := self._conflict(sentence, item):
            return conflict
        meaning = known.get(id(item.window))
        if meaning is Meaning.OPPOSITE:
            return say("negation", self._speaks)
        holds = self._near(sentence, item) if meaning is None else meaning is Meaning.SAME
        return "" if holds else say("meaning", self._speaks)

    def _conflict(self, sentence: str, item: _Scored) -> str:
        window = item.window
        around = f"{window.passage.heading}\n"
        missing = unsupported_figures(sentence, around + window.quote)
        missing += unsupported_names(sentence, around + window.hit.text, self._language)
        missing = missing or other_figures(sentence, self._nearest(sentence, window))
        if missing:
            return say("figures", self._speaks, terms=", ".join(missing))
        contradicted = contradicts(sentence, window.quote, self._language, window.topic)
        return say("negation", self._speaks) if contradicted else ""

    def _nearest(self, sentence: str, window: _Window) -> str:
        """The sentence of a window that shares most words: it must not have other figures."""
        stems = content_stems(sentence, self._language)
        piece = max(
            self._pieces[window.pieces.start : window.pieces.stop],
            key=lambda piece: len(stems & piece.stems),
        )
        return piece.hit.text[piece.span.start : piece.span.end]

    def _near(self, sentence: str, item: _Scored) -> bool:
        if language_of(sentence) != self._language:
            return item.cosine >= COSINE_ACROSS_LANGUAGES
        if content_stems(sentence, self._language) <= self._asked:
            return item.words >= COPIED_WORDS and item.cosine >= ECHO_COSINE
        if item.words >= COPIED_WORDS:
            return item.cosine >= COPIED_COSINE
        return item.words >= WORDS and item.cosine >= COSINE and not self._mixes(sentence, item.window)

    def _mixes(self, sentence: str, window: _Window) -> bool:
        """Has words from elsewhere in the chunk: "senior" beside the days that juniors get."""
        elsewhere = content_stems(window.hit.text, self._language) - window.stems
        return bool(content_stems(sentence, self._language) & elsewhere)

    def _meant(self, sentence: str) -> str:
        whole = len(content_stems(sentence, self._language)) >= FULL
        return sentence if whole else f"{self._question} {sentence}"

    def _scored(self, sentence: str) -> list[_Scored]:
        """Best first."""
        if not self._pieces:
            return []
        stems, meant = content_stems(sentence, self._language), self._meant(sentence)
        vector = self._embedder.embed_documents([meant])[0]
        cosines, relevances = self._vectors @ vector, self._vectors @ self._asked_for
        own = float(vector @ self._asked_for) if meant == sentence else 0.0
        scored = [
            _Scored(
                window,
                covered(stems, window.stems),
                cosine=float(cosines[window.pieces.start : window.pieces.stop].max()),
                relevance=max(own, float(relevances[window.pieces.start : window.pieces.stop].max())),
            )
            for window in self._windows
        ]
        return sorted(scored, key=lambda item: item.score, reverse=True)

    @cached_property
    def _pieces(self) -> list[_Piece]:
        return list(_pieces(self._evidence, self._language))[:MOST_PIECES]

    @cached_property
    def _vectors(self) -> Vectors:
        texts = [piece.hit.text[piece.span.start : piece.span.end] for piece in self._pieces]
        return np.asarray(self._embedder.embed_documents(texts), dtype=np.float32)

    @cached_property
    def _asked_for(self) -> Vectors:
        return self._embedder.embed_query(self._question)

    @cached_property
    def _windows(self) -> list[_Window]:
        return list(_windows(self._pieces, self._language))


def _pieces(evidence: Sequence[Passage], language: Language) -> Iterator[_Piece]:
    for passage in evidence:
        for hit in passage.hits:
            for block in blocks(hit.text):
                for span in sentences_in(hit.text, block):
                    stems = content_stems(hit.text[span.start : span.end], language)
                    yield _Piece(passage, hit, span, stems)


def _windows(pieces: Sequence[_Piece], language: Language) -> Iterator[_Window]:
    headings = {piece.passage.number: content_stems(piece.passage.heading, language) for piece in pieces}
    spans = {(piece.hit.chunk, piece.span.start): at for at, piece in enumerate(pieces)}
    for start, piece in enumerate(pieces):
        for stop in range(start + 1, min(start + LONGEST_WINDOW, len(pieces)) + 1):
            if pieces[stop - 1].hit is piece.hit:
                yield _window(pieces, range(start, stop), headings[piece.passage.number])
    yield from _block_windows(pieces, spans, headings)


def _block_windows(
    pieces: Sequence[_Piece], spans: dict[tuple[UUID, int], int], headings: dict[int, frozenset[str]]
) -> Iterator[_Window]:
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
                yield _window(pieces, range(inside[0], inside[-1] + 1), headings[piece.passage.number])


def _window(pieces: Sequence[_Piece], inside: range, heading: frozenset[str]) -> _Window:
    first, last = pieces[inside.start], pieces[inside.stop - 1]
    stems = heading.union(*(pieces[at].stems for at in inside))
    quote = first.hit.text[first.span.start : last.span.end]
    return _Window(first.passage, first.hit, quote, inside, stems, heading)
