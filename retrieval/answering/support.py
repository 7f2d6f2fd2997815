"""Does a passage say what a sentence says? If so, with which words?

A sentence holds when one window of a chunk (one to three neighbouring sentences, or a whole block) has its
figures, says nothing of the opposite and is near enough in meaning, and the window's passage has its names.
The thresholds were set by hand on 76 sentences that SmolLM2-135M wrote about a real handbook, each labelled
as borne out by its best window or not, so that hardly any false one holds; some true ones are lost.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cairn.inference.protocols import Embedder, NaturalLanguageInference, Vectors
from cairn.telemetry.tracing import step
from retrieval.answering.copies import Change, followed, swapped, turned
from retrieval.answering.entailment import Meaning, meanings
from retrieval.answering.evidence import Passage
from retrieval.answering.lexicon import STRUCTURE, Language, language_of
from retrieval.answering.names import unsupported_names
from retrieval.answering.negation import contradicts
from retrieval.answering.opposites import obliges_more, opposed
from retrieval.answering.quantities import other_figures, unsupported_figures
from retrieval.answering.restrictions import restricts_otherwise
from retrieval.answering.terms import content_stems, content_words, covered, stem
from retrieval.answering.windows import Piece, Window, heading_of, pieces_of, windows_of
from retrieval.answering.wording import say
from retrieval.types import Hit

COPIED_WORDS = 0.95  # share of a sentence's content words in the window: it is as good as copied
COPIED_COSINE = 0.5
WORDS = 0.8
COSINE = 0.72
ECHO_COSINE = 0.85  # for a sentence that says only what the question said, such as "Yes, you can do that."
FULL = 4  # content words; a shorter sentence means something only together with the question
COSINE_ACROSS_LANGUAGES = 0.75  # where words cannot be compared
MOST_PIECES = 160  # sentences of the evidence that are embedded
TRIED = 6  # windows of a passage that are looked at closely
HALF = 0.5
AGAIN = 3  # words
ALIKE = 5  # sentences of the evidence, those with most words in common, that a claim may be a copy of
PER_SENTENCE = 0.04  # what a further sentence in a quote must gain

_SENTENCES = re.compile(
    r"[.!?…]+(?!\w)\W*|[.!?…:;,]+\W*(?=[^\W\d_a-zß-ÿ])|[:;]\s+|\t|\n|\s{2,}"
    r"|\s(?:and|or|but|und|oder|aber)\s+(?=[^\W\d_a-zß-ÿ])"
)
"""Where one may end inside what was taken for a single one."""
_PARTS = re.compile(r"[,;]\s|\b(?:and|while|whereas|but|und|während|aber)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ground:
    """`quote` stands word for word in the hit's text."""

    hit: Hit
    quote: str


@dataclass(frozen=True, slots=True)
class Support:
    """`grounds` is empty when nothing supports the sentence; `reason` then says why.

    `relevance`: cosine of the question and the nearest of the sentence and its quotes. `behind`: how much
    nearer to the question the nearest sentence of all the evidence is, in the same measure.
    """

    grounds: tuple[Ground, ...] = ()
    reason: str = ""
    relevance: float = 0.0
    behind: float = 1.0


@dataclass(frozen=True, slots=True)
class _Scored:
    window: Window
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

    def prepare(self) -> None:
        """Embeds the evidence, which the first sentence would wait for: best done while the model reads."""
        if self._pieces:
            _ = self._vectors, self._asked_for, self._windows

    def check(self, sentence: str, cited: Sequence[int]) -> Support:
        """Cited passages that support it, else the best other passage that does."""
        with step("check sentence"):
            return self._checked(sentence, cited)

    def _checked(self, sentence: str, cited: Sequence[int]) -> Support:
        scored = self._scored(sentence)
        if reason := self._twists(sentence):
            return Support(reason=self._conflict(sentence, scored[0]) or reason)
        by_passage = {
            passage.number: [item for item in scored if item.window.passage is passage]
            for passage in self._evidence
        }
        named = [by_passage[number] for number in cited if number in by_passage]
        known: dict[int, Meaning] = {}
        found = self._firsts(sentence, named, known) or self._firsts(sentence, [scored], known)
        if found:
            grounds = tuple(Ground(item.window.hit, item.window.quote) for item in found)
            relevance = max(item.relevance for item in found)
            return Support(grounds, relevance=relevance, behind=max(0.0, self._nearest_of_all - relevance))
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

    def _twists(self, claim: str) -> str:
        """Why it, or a part of it, is no true copy of the sentence that it follows most closely, if any."""
        parts = [part for part in _SENTENCES.split(claim) if part]
        return next((reason for part in dict.fromkeys((claim, *parts)) if (reason := self._twist(part))), "")

    def _twist(self, claim: str) -> str:
        stems = content_stems(claim, self._language)
        likely = sorted(self._pieces, key=lambda piece: len(stems & piece.stems), reverse=True)[:ALIKE]
        piece = max(likely, key=lambda piece: followed(claim, piece.text), default=None)
        if piece is None:
            return ""
        heading = content_stems(heading_of(piece.hit), self._language)
        elsewhere = content_stems(piece.hit.text, self._language) - piece.stems - heading
        if words := self._swapped(claim, piece.text, heading, elsewhere):
            return say("figures", self._speaks, terms=", ".join(words))
        return say("negation", self._speaks) if turned(claim, piece.text) else ""

    def _swapped(
        self, claim: str, text: str, heading: frozenset[str], elsewhere: frozenset[str]
    ) -> tuple[str, ...]:
        """Words of the heading may stand where the evidence has a small word: "the Vault" for "it"."""
        found = swapped(claim, text, self._language, elsewhere)
        return tuple(change.said for change in found if not self._names_topic(change, heading))

    def _names_topic(self, change: Change, heading: frozenset[str]) -> bool:
        stems = content_stems(change.said, self._language)
        return bool(stems) and stems <= heading and not content_stems(change.told, self._language)

    def announces(self, line: str) -> bool:
        """Whether one passage, with the question, has all words of a line that itself says nothing yet."""
        return not self._twists(line) and any(self._leads_to(line, passage) for passage in self._evidence)

    def _leads_to(self, line: str, passage: Passage) -> bool:
        text = "\n".join(hit.text for hit in passage.hits)
        around = f"{self._question}\n{passage.heading}\n{text}"
        structure = frozenset(stem(word, self._language) for word in STRUCTURE)
        if not content_stems(line, self._language) <= content_stems(around, self._language) | structure:
            return False
        if unsupported_figures(line, around) or unsupported_names(line, around, self._language):
            return False
        return not contradicts(line, around, self._language) and not opposed(line, text)

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
        near = meaning is None and self._near(sentence, item) and not self._goes_beyond(sentence, item.window)
        holds = near or meaning is Meaning.SAME
        return "" if holds else say("meaning", self._speaks)

    def _conflict(self, sentence: str, item: _Scored) -> str:
        window = item.window
        around = f"{heading_of(window.hit)}\n"
        missing = unsupported_figures(sentence, around + window.text)
        missing += unsupported_names(sentence, around + window.text, self._language)
        nearest = self._nearest(sentence, window).text
        missing = missing or other_figures(sentence, nearest)
        if missing:
            return say("figures", self._speaks, terms=", ".join(missing))
        if contradicts(sentence, window.text, self._language, window.topic) or opposed(sentence, nearest):
            return say("negation", self._speaks)
        if obliges_more(sentence, nearest):
            return say("negation", self._speaks)
        inside = [piece.text for piece in self._inside(window)]
        if restricts_otherwise(sentence, inside, self._language):
            return say("restriction", self._speaks)
        if len(window.pieces) > 1 and (
            words := self._swapped(sentence, window.text, window.topic, frozenset())
        ):
            return say("figures", self._speaks, terms=", ".join(words))
        lost = self._mixes_rows(sentence, window) or self._stammers(sentence, window)
        return say("meaning", self._speaks) if lost else ""

    def _nearest(self, sentence: str, window: Window) -> Piece:
        """The sentence of a window that shares most words: it must not have other figures."""
        stems = content_stems(sentence, self._language)
        return max(self._inside(window), key=lambda piece: len(stems & piece.stems))

    def _inside(self, window: Window) -> Sequence[Piece]:
        return self._pieces[window.pieces.start : window.pieces.stop]

    def _goes_beyond(self, sentence: str, window: Window) -> bool:
        """Whether a part that could be a sentence has hardly a word of the window's."""
        if language_of(sentence) != self._language:
            return False
        known = window.stems | self._asked
        parts = (content_stems(part, self._language) for part in _SENTENCES.split(sentence))
        return any(part and covered(part, known) < HALF for part in parts)

    def _stammers(self, sentence: str, window: Window) -> bool:
        """Says again what the window says once: two sentences, with nothing between them to part them at."""
        said, told = (Counter(self._stems(text)) for text in (sentence, window.text))
        return sum(count > 1 and told[word] < count for word, count in said.items()) >= AGAIN

    def _stems(self, text: str) -> list[str]:
        return [stem(word, self._language) for word in content_words(text, self._language)]

    def _mixes_rows(self, sentence: str, window: Window) -> bool:
        """Whether a part of it says of one row what another row has."""
        rows = [piece for piece in self._inside(window) if piece.key]
        return len(rows) > 1 and any(self._is_of_no_row(part, rows) for part in _PARTS.split(sentence))

    def _is_of_no_row(self, part: str, rows: Sequence[Piece]) -> bool:
        stems = content_stems(part, self._language)
        meant = [row for row in rows if row.key <= stems] or rows
        return all(
            unsupported_figures(part, row.text) or unsupported_names(part, row.text, self._language)
            for row in meant
        )

    def _near(self, sentence: str, item: _Scored) -> bool:
        if language_of(sentence) != self._language:
            return item.cosine >= COSINE_ACROSS_LANGUAGES
        if content_stems(sentence, self._language) <= self._asked:
            return item.words >= COPIED_WORDS and item.cosine >= ECHO_COSINE
        if item.words >= COPIED_WORDS:
            return item.cosine >= COPIED_COSINE
        return item.words >= WORDS and item.cosine >= COSINE and not self._mixes(sentence, item.window)

    def _mixes(self, sentence: str, window: Window) -> bool:
        """Has words from elsewhere in the chunk: "senior" beside the days that juniors get."""
        return bool(content_stems(sentence, self._language) & self._elsewhere(window))

    def _elsewhere(self, window: Window) -> frozenset[str]:
        return content_stems(window.hit.text, self._language) - window.stems

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
    def _pieces(self) -> list[Piece]:
        return list(pieces_of(self._evidence, self._language))[:MOST_PIECES]

    @cached_property
    def _vectors(self) -> Vectors:
        texts = [piece.text for piece in self._pieces]
        return np.asarray(self._embedder.embed_documents(texts), dtype=np.float32)

    @cached_property
    def _asked_for(self) -> Vectors:
        return self._embedder.embed_query(self._question)

    @cached_property
    def _nearest_of_all(self) -> float:
        return float((self._vectors @ self._asked_for).max())

    @cached_property
    def _windows(self) -> list[Window]:
        return list(windows_of(self._pieces, self._language))
