"""Checks whether a passage supports a sentence, and with which words.

A sentence is supported when one window of a chunk (one to three neighbouring sentences, or a whole block) has
its figures, does not say the opposite and is similar enough in meaning, and the window's passage has its
names. The thresholds were set by hand on 76 sentences that SmolLM2-135M wrote about a real handbook, each
labelled as supported by its best window or not, so that hardly any false one passes; some true ones are lost.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cairn.inference.protocols import Embedder, NaturalLanguageInference, Reranker, Vectors
from cairn.telemetry.span_attributes import METADATA, SpanKind
from cairn.telemetry.tracing import step
from retrieval.answering.grounding.antonyms import obliges_more, uses_opposite
from retrieval.answering.grounding.edits import (
    Edit,
    changes_restriction,
    flips_polarity,
    overlap,
    substitutions,
)
from retrieval.answering.grounding.entailment import Meaning, infer_meanings
from retrieval.answering.grounding.names import unsupported_names
from retrieval.answering.grounding.negation import contradicts
from retrieval.answering.grounding.purpose import split_purpose
from retrieval.answering.grounding.quantities import conflicting_figures, list_figures, unsupported_figures
from retrieval.answering.grounding.reasons import find_explained_part
from retrieval.answering.grounding.restrictions import restricts_otherwise
from retrieval.answering.grounding.rows import (
    Row,
    RowEvidence,
    list_rows,
    misattributes_figure,
    subject_stems,
)
from retrieval.answering.grounding.window_rater import WindowRater
from retrieval.answering.grounding.windows import (
    Piece,
    Window,
    pieces_of,
    statements_of,
    windows_of,
)
from retrieval.answering.prompts.evidence import Passage
from retrieval.answering.text.lexicon import STRUCTURE, Language, language_of
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.number_words import comparable_stems
from retrieval.answering.text.terms import content_words, coverage, stem
from retrieval.types import Hit

MIN_COPY_WORDS = 0.95  # share of a sentence's content words in the window: it is as good as copied
MIN_COPY_COSINE = 0.5
MIN_SHARED_WORDS = 0.8
MIN_COSINE = 0.72
MIN_ECHO_COSINE = 0.85  # for a sentence that only repeats the question, such as "Yes, you can do that."
MIN_STANDALONE_WORDS = 4  # content words; a shorter sentence means something only together with the question
MIN_CROSS_LANGUAGE_COSINE = 0.75  # where words cannot be compared
MIN_PARAPHRASE_WORDS = 0.5  # of a paraphrase that the reranker finds in the window
MIN_PARAPHRASE_NEW_WORDS = 0.8  # of its words that the question does not have
MIN_PARAPHRASE_COSINE = 0.4
MIN_PARAPHRASE_RELEVANCE = 0.98
MIN_SHARED_RELEVANCE = 0.9  # of a sentence with the window's words, but not in its order
VERBATIM_COSINE = 0.95  # from which the reranker isn't asked
MIN_QUESTION_RELEVANCE = 0.5
"""How relevant to the question the window must be if the sentence has words that only the question has, or
hardly any words."""
MIN_FRAGMENT_WORDS = 2  # content words that aren't figures; "June 10" says nothing without its question
MAX_PIECES = 160  # sentences of the evidence that are embedded
MAX_WINDOWS_TRIED = 6  # windows of a passage that are looked at closely
MIN_PART_COVERAGE = 0.5
MIN_REPEATED_WORDS = 3  # words
MAX_COPY_CANDIDATES = (
    5  # sentences of the evidence, those with most words in common, that a claim may be a copy of
)
EXTRA_SENTENCE_PENALTY = 0.04  # how much a further sentence in a quote must gain

_SENTENCES = re.compile(
    r"[.!?…]+(?!\w)\W*|[.!?…:;,]+\W*(?=[^\W\d_a-zß-ÿ])|[:;]\s+|\t|\n|\s{2,}"
    r"|\s(?:and|or|but|und|oder|aber)\s+(?=[^\W\d_a-zß-ÿ])"
)
"""Where a sentence may end inside text that was treated as a single one."""
_PARTS = re.compile(r"[,;]\s|\b(?:and|while|whereas|but|und|während|aber)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ground:
    """A supporting quote, verbatim from the hit's text."""

    hit: Hit
    quote: str


@dataclass(frozen=True, slots=True)
class Support:
    """`grounds` is empty when nothing supports the sentence; `reason` then says why.

    `relevance`: cosine of the question and the nearest of the sentence and its quotes. `relevance_gap`: how
    much nearer to the question the nearest sentence of all the evidence is.
    """

    grounds: tuple[Ground, ...] = ()
    reason: str = ""
    relevance: float = 0.0
    relevance_gap: float = 1.0


@dataclass(frozen=True, slots=True)
class _Scored:
    window: Window
    words: float
    cosine: float
    relevance: float

    @property
    def score(self) -> float:
        return self.words + self.cosine - EXTRA_SENTENCE_PENALTY * (len(self.window.pieces) - 1)


def _trace_metadata(support: Support) -> str:
    """Return the result of a check for traces, as JSON without text."""
    passages = [str(ground.hit.chunk) for ground in support.grounds]
    return json.dumps({"supported": bool(support.grounds), "passages": passages})


class SentenceChecker:
    def __init__(
        self,
        evidence: Sequence[Passage],
        embedder: Embedder,
        *,
        question: str,
        reason_language: Language,
        inference: NaturalLanguageInference | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        """`reason_language`: language of the reasons. `inference` replaces the similarity check. `reranker`:
        recognises paraphrases, and what only seems to be one; None for a model that isn't trusted to write
        any."""
        self._evidence = evidence
        self._embedder = embedder
        self._inference = inference
        self._rater = WindowRater(None if inference else reranker)
        self._reason_language: Language = reason_language
        self._language = language_of(" ".join(passage.text for passage in evidence))
        self._question = question
        self._question_stems = comparable_stems(question, self._language)
        self._purpose = ""  # of the sentence that is checked, if it repeats the question

    def prepare(self) -> None:
        """Embed the evidence ahead of the first sentence, best done while the model reads the prompt."""
        if self._pieces:
            _ = self._vectors, self._question_vector, self._windows

    def check(self, sentence: str, cited: Sequence[int]) -> Support:
        """Return the cited passages that support the sentence, else the best other passage that does."""
        with step("check sentence", kind=SpanKind.GUARDRAIL) as span:
            support = self._check(sentence, cited)
            if span.is_recording():
                span.set_attribute(METADATA, _trace_metadata(support))
            return support

    def _check(self, sentence: str, cited: Sequence[int]) -> Support:
        if self._rater.is_available:
            self._purpose, sentence = split_purpose(sentence, self._question, self._language)
        scored = self._score_windows(sentence)
        if reason := self._find_alteration(sentence):
            return Support(reason=self._conflict(sentence, scored[0]) or reason)
        by_passage = {
            passage.number: [item for item in scored if item.window.passage is passage]
            for passage in self._evidence
        }
        named = [by_passage[number] for number in cited if number in by_passage]
        known: dict[int, Meaning] = {}
        found = self._first_supported(sentence, named, known) or self._first_supported(
            sentence, [scored], known
        )
        if found:
            grounds = tuple(Ground(item.window.hit, item.window.quote) for item in found)
            relevance = max(item.relevance for item in found)
            return Support(
                grounds, relevance=relevance, relevance_gap=max(0.0, self._nearest_of_all - relevance)
            )
        reason = (
            self._problem(sentence, scored[0], known)
            if scored
            else render_message("meaning", self._reason_language)
        )
        return Support(reason=reason)

    def _first_supported(
        self, sentence: str, rankings: Sequence[Sequence[_Scored]], known: dict[int, Meaning]
    ) -> list[_Scored]:
        """Return the first supporting window of each ranking that has one."""
        tried = [ranking[:MAX_WINDOWS_TRIED] for ranking in rankings]
        known |= self._meanings(sentence, [item for ranking in tried for item in ranking], known)
        supported = (
            next((item for item in ranking if not self._problem(sentence, item, known)), None)
            for ranking in tried
        )
        return [item for item in supported if item]

    def _find_alteration(self, claim: str) -> str:
        """Return why the claim, or a part of it, is an altered copy of the sentence that it follows most
        closely."""
        parts = [part for part in _SENTENCES.split(claim) if part]
        return next(
            (
                reason
                for part in dict.fromkeys((claim, *parts))
                if (reason := self._find_part_alteration(part))
            ),
            "",
        )

    def _find_part_alteration(self, claim: str) -> str:
        stems = comparable_stems(claim, self._language)
        likely = sorted(self._pieces, key=lambda piece: len(stems & piece.stems), reverse=True)[
            :MAX_COPY_CANDIDATES
        ]
        piece = max(likely, key=lambda piece: overlap(claim, piece.text), default=None)
        if piece is None:
            return ""
        heading = comparable_stems(piece.hit.heading, self._language)
        elsewhere = comparable_stems(piece.hit.text, self._language) - piece.stems - heading
        if words := self._find_substituted_words(claim, piece.text, heading, elsewhere):
            return render_message("figures", self._reason_language, terms=", ".join(words))
        if changes_restriction(claim, piece.text):
            return render_message("restriction", self._reason_language)
        return render_message("negation", self._reason_language) if flips_polarity(claim, piece.text) else ""

    def _find_substituted_words(
        self, claim: str, text: str, heading: frozenset[str], elsewhere: frozenset[str]
    ) -> tuple[str, ...]:
        """Return substituted words. Words of the heading may replace a small word: "the Vault" for "it"."""
        found = substitutions(claim, text, self._language, elsewhere)
        return tuple(edit.claim for edit in found if not self._names_topic(edit, heading))

    def _names_topic(self, edit: Edit, heading: frozenset[str]) -> bool:
        stems = comparable_stems(edit.claim, self._language)
        return bool(stems) and stems <= heading and not comparable_stems(edit.evidence, self._language)

    def announces(self, line: str) -> bool:
        """Return whether one passage, with the question, has all words of a line that itself states nothing
        yet."""
        return not self._find_alteration(line) and any(
            self._leads_to(line, passage) for passage in self._evidence
        )

    def _leads_to(self, line: str, passage: Passage) -> bool:
        text = "\n".join(hit.text for hit in passage.hits)
        around = f"{self._question}\n{passage.heading}\n{text}"
        structure = frozenset(stem(word, self._language) for word in STRUCTURE)
        if not comparable_stems(line, self._language) <= comparable_stems(around, self._language) | structure:
            return False
        if unsupported_figures(line, around) or unsupported_names(line, around, self._language):
            return False
        return not contradicts(line, around, self._language) and not uses_opposite(line, text)

    def _meanings(
        self, sentence: str, tried: Sequence[_Scored], known: Mapping[int, Meaning]
    ) -> dict[int, Meaning]:
        """Classify, in one call, the windows that no other rule excludes, by their id."""
        if self._inference is None:
            return {}
        hypothesis = self._hypothesis(sentence)
        unknown = [item for item in tried if id(item.window) not in known]
        windows = [item.window for item in unknown if not self._conflict(sentence, item)]
        pairs = [(f"{window.passage.heading}\n{window.quote}", hypothesis) for window in windows]
        found = infer_meanings(self._inference, pairs)
        return {} if found is None else dict(zip(map(id, windows), found, strict=True))

    def _problem(self, sentence: str, item: _Scored, known: Mapping[int, Meaning]) -> str:
        if conflict := self._conflict(sentence, item):
            return conflict
        meaning = known.get(id(item.window))
        if meaning is Meaning.OPPOSITE:
            return render_message("negation", self._reason_language)
        near = meaning is None and self._is_near(sentence, item)
        supported = near or meaning is Meaning.SAME
        return "" if supported else render_message("meaning", self._reason_language)

    def _conflict(self, sentence: str, item: _Scored) -> str:
        window = item.window
        around = f"{window.hit.heading}\n"
        missing = unsupported_figures(sentence, around + window.text)
        missing += unsupported_names(sentence, around + window.text, self._language)
        nearest = self._nearest(sentence, window).text
        missing = missing or conflicting_figures(sentence, nearest)
        if missing:
            return render_message("figures", self._reason_language, terms=", ".join(missing))
        if contradicts(sentence, window.text, self._language, window.topic) or uses_opposite(
            sentence, nearest
        ):
            return render_message("negation", self._reason_language)
        if obliges_more(sentence, nearest):
            return render_message("negation", self._reason_language)
        inside = [piece.text for piece in self._inside(window)]
        if restricts_otherwise(sentence, inside, self._language):
            return render_message("restriction", self._reason_language)
        if len(window.pieces) > 1 and (
            words := self._find_substituted_words(sentence, window.text, window.topic, frozenset())
        ):
            return render_message("figures", self._reason_language, terms=", ".join(words))
        lost = (
            self._mixes_rows(sentence, window)
            or self._misattributes_figure(sentence, window)
            or self._repeats(sentence, window)
        )
        return render_message("meaning", self._reason_language) if lost else ""

    def _nearest(self, sentence: str, window: Window) -> Piece:
        """Return the window's sentence that shares most words: it must not have other figures."""
        stems = comparable_stems(sentence, self._language)
        return max(self._inside(window), key=lambda piece: len(stems & piece.stems))

    def _inside(self, window: Window) -> Sequence[Piece]:
        return self._pieces[window.pieces.start : window.pieces.stop]

    def _goes_beyond(self, sentence: str, window: Window) -> bool:
        """Return whether a part that could be a sentence shares hardly a word with the window."""
        if language_of(sentence) != self._language:
            return False
        known = window.stems | self._question_stems
        parts = (comparable_stems(part, self._language) for part in _SENTENCES.split(sentence))
        return any(part and coverage(part, known) < MIN_PART_COVERAGE for part in parts)

    def _repeats(self, sentence: str, window: Window) -> bool:
        """Return whether the sentence repeats what the window states once, like two sentences without
        punctuation between them."""
        claimed, stated = (Counter(self._stems(text)) for text in (sentence, window.text))
        return (
            sum(count > 1 and stated[word] < count for word, count in claimed.items()) >= MIN_REPEATED_WORDS
        )

    def _stems(self, text: str) -> list[str]:
        return [stem(word, self._language) for word in content_words(text, self._language)]

    def _mixes_rows(self, sentence: str, window: Window) -> bool:
        """Return whether a part states of one row what another row has."""
        rows = [piece for piece in self._inside(window) if piece.key]
        return len(rows) > 1 and any(self._matches_no_row(part, rows) for part in _PARTS.split(sentence))

    def _misattributes_figure(self, sentence: str, window: Window) -> bool:
        """Return whether a figure is that of a row about something else than the sentence."""
        if language_of(sentence) != self._language or not list_figures(sentence):
            return False
        heading = window.hit.heading
        rows = [row for row in self._rows[window.passage.number] if row.hit.heading == heading]
        inside = [row for row in rows if any(row.contains(each) for each in self._inside(window))]
        prose = [each.own for each in self._inside(window) if not any(row.contains(each) for row in inside)]
        subjects = subject_stems(f"{sentence}\n{self._question}", self._language)
        evidence = RowEvidence(inside, rows, window.topic, "\n".join((heading, *prose)))
        return misattributes_figure(sentence, subjects, evidence)

    def _matches_no_row(self, part: str, rows: Sequence[Piece]) -> bool:
        stems = comparable_stems(part, self._language)
        meant = [row for row in rows if row.key <= stems] or rows
        return all(
            unsupported_figures(part, row.text) or unsupported_names(part, row.text, self._language)
            for row in meant
        )

    def _is_near(self, sentence: str, item: _Scored) -> bool:
        return (
            self._is_similar(sentence, item)
            and not self._goes_beyond(sentence, item.window)
            and not self._joins_statements(sentence, item.window)
            and not self._explains_assumption(sentence, item.window)
            and self._serves_question(sentence, item.window)
        )

    def _joins_statements(self, sentence: str, window: Window) -> bool:
        """Return whether a part of the sentence has words of two statements of the window: what one is about,
        and what the other says about something else."""
        if len(window.pieces) == 1 or language_of(sentence) != self._language:
            return False
        statements = [
            window.topic.union(*(piece.stems for piece in group))
            for group in statements_of(self._inside(window), self._language)
        ]
        parts = (comparable_stems(part, self._language) & window.stems for part in _PARTS.split(sentence))
        return not all(any(part <= stems for stems in statements) for part in parts)

    def _explains_assumption(self, sentence: str, window: Window) -> bool:
        """Return whether it gives a reason for something that only the question says: "Why are Danes late?"
        makes "Danes are late because they come by train" of "Danes come by train"."""
        if language_of(sentence) != self._language:
            return False
        explained = comparable_stems(find_explained_part(sentence), self._language)
        return bool(explained & self._question_stems - window.stems)

    def _serves_question(self, sentence: str, window: Window) -> bool:
        """Return whether the window may have words of the question left out: "To make text bigger, name a
        file" takes the purpose from the question, and the file from a passage about pictures. A fragment
        such as "June 10" takes all words of the question. Without the reranker's score, it may not."""
        if language_of(sentence) != self._language:
            return True
        purpose = comparable_stems(self._purpose, self._language)
        stems = comparable_stems(sentence, self._language)
        is_fragment = sum(not word.isdigit() for word in stems) < MIN_FRAGMENT_WORDS
        given = self._question_stems if is_fragment else (stems | purpose) & self._question_stems
        if given <= window.stems and bool(purpose) == bool(self._purpose):
            return True
        relevance = self._rater.rate(self._question, window)
        return relevance is not None and relevance >= MIN_QUESTION_RELEVANCE

    def _is_similar(self, sentence: str, item: _Scored) -> bool:
        if language_of(sentence) != self._language:
            return item.cosine >= MIN_CROSS_LANGUAGE_COSINE
        if comparable_stems(sentence, self._language) <= self._question_stems:
            return item.words >= MIN_COPY_WORDS and item.cosine >= MIN_ECHO_COSINE
        if item.words >= MIN_COPY_WORDS and item.cosine >= MIN_COPY_COSINE:
            return self._is_confirmed(sentence, item)
        if self._mixes(sentence, item.window):
            return False
        same_words = item.words >= MIN_SHARED_WORDS and item.cosine >= MIN_COSINE
        return (same_words and self._is_confirmed(sentence, item)) or self._is_paraphrase(sentence, item)

    def _is_confirmed(self, sentence: str, item: _Scored) -> bool:
        """Return whether words in common mean the same: "The cost is $25" has the words of "To save on the
        cost, use our link once you have spent $25"."""
        if item.cosine >= VERBATIM_COSINE:
            return True
        relevance = self._rater.rate(sentence, item.window)
        return relevance is None or relevance >= MIN_SHARED_RELEVANCE

    def _is_paraphrase(self, sentence: str, item: _Scored) -> bool:
        """Return whether it rephrases the window. Words of the question are allowed; most others must be the
        window's."""
        if item.cosine < MIN_PARAPHRASE_COSINE or item.words < MIN_PARAPHRASE_WORDS:
            return False
        new = comparable_stems(sentence, self._language) - self._question_stems
        if coverage(new, item.window.stems) < MIN_PARAPHRASE_NEW_WORDS:
            return False
        relevance = self._rater.rate(sentence, item.window)
        return relevance is not None and relevance >= MIN_PARAPHRASE_RELEVANCE

    def _mixes(self, sentence: str, window: Window) -> bool:
        """Return whether the sentence has words from elsewhere in the chunk: "senior" with the days that
        juniors get."""
        return bool(comparable_stems(sentence, self._language) & self._stems_elsewhere(window))

    def _stems_elsewhere(self, window: Window) -> frozenset[str]:
        return comparable_stems(window.hit.text, self._language) - window.stems

    def _hypothesis(self, sentence: str) -> str:
        whole = len(comparable_stems(sentence, self._language)) >= MIN_STANDALONE_WORDS
        return sentence if whole else f"{self._question} {sentence}"

    def _score_windows(self, sentence: str) -> list[_Scored]:
        """Return all windows, best first."""
        if not self._pieces:
            return []
        stems, meant = comparable_stems(sentence, self._language), self._hypothesis(sentence)
        vector = self._embedder.embed_documents([meant])[0]
        cosines, relevances = self._vectors @ vector, self._vectors @ self._question_vector
        own = float(vector @ self._question_vector) if meant == sentence else 0.0
        scored = [
            _Scored(
                window,
                coverage(stems, window.stems),
                cosine=float(cosines[window.pieces.start : window.pieces.stop].max()),
                relevance=max(own, float(relevances[window.pieces.start : window.pieces.stop].max())),
            )
            for window in self._windows
        ]
        return sorted(scored, key=lambda item: item.score, reverse=True)

    @cached_property
    def _pieces(self) -> list[Piece]:
        return list(pieces_of(self._evidence, self._language))[:MAX_PIECES]

    @cached_property
    def _rows(self) -> dict[int, list[Row]]:
        return {passage.number: list(list_rows(passage, self._language)) for passage in self._evidence}

    @cached_property
    def _vectors(self) -> Vectors:
        texts = [piece.text for piece in self._pieces]
        return np.asarray(self._embedder.embed_documents(texts), dtype=np.float32)

    @cached_property
    def _question_vector(self) -> Vectors:
        return self._embedder.embed_query(self._question)

    @cached_property
    def _nearest_of_all(self) -> float:
        return float((self._vectors @ self._question_vector).max())

    @cached_property
    def _windows(self) -> list[Window]:
        return list(windows_of(self._pieces, self._language))
