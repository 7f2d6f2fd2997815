"""State shared by the parts of one answer: its settings, its progress and its text so far."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cairn.errors import Unavailable
from cairn.inference.protocols import Embedder, NaturalLanguageInference, Reranker
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.protocols import ChatModel, LoadPassage, Locate
from retrieval.answering.text.lexicon import Language
from retrieval.answering.text.refusals import ReplyLanguage
from retrieval.types import AnswerEvent, CheckedSentence, Citation, Delta, ModelRoute, SpellingCorrection

NO_MODEL: Final = "no_model_may_read"


@dataclass(frozen=True, slots=True)
class GenerationContext:
    """Constant settings while one question is answered.

    `language`: by whose rules texts are read. `reply_language`: that of a refusal, which is written in more
    languages.
    """

    chat: ChatModel
    embedder: Embedder
    locate: Locate
    grounding: str
    evidence: EvidenceBudget
    cancelled: Callable[[], bool]
    language: Language
    reply_language: ReplyLanguage
    inference: NaturalLanguageInference | None = None
    selects: bool = False
    reranker: Reranker | None = None
    writes: bool = True
    load_passage: LoadPassage = lambda *_: None


@dataclass(slots=True)
class RunState:
    """State that changes while one question is answered.

    `failure`: why the model is no longer available. `route`: the model that has written a part; an outside
    one if any has. `signals`: the values by which a question of one part was judged.
    """

    started_at: float = field(default_factory=time.perf_counter)
    retrieval_ms: float = 0.0
    first_token_ms: float | None = None
    prompt_tokens: int = 0
    pieces: list[str] = field(default_factory=list)
    stopped: bool = False
    failure: Unavailable | None = None
    called: bool = False
    route: ModelRoute = field(default_factory=ModelRoute)
    signals: Mapping[str, float] = field(default_factory=dict)
    spelling: list[SpellingCorrection] = field(default_factory=list)

    @property
    def had_no_model(self) -> bool:
        """Whether the answer has no model, because none may read its passages."""
        return self.route.reason == NO_MODEL

    def take_route(self, route: ModelRoute) -> None:
        """Record which model writes a part, or why none may."""
        if self.route.location != "outside" and (route.model or not self.route.model):
            self.route = route

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_at) * 1000


@dataclass(slots=True)
class AnswerBuffer:
    """The answer so far. Parts share its markers and do not repeat its sentences."""

    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    sentences: list[CheckedSentence] = field(default_factory=list)
    markers: dict[tuple[object, str], int] = field(default_factory=dict)
    seen_stems: list[frozenset[str]] = field(default_factory=list)
    _needs_break: bool = False

    def start_paragraph(self) -> None:
        """Separate what comes next from the text so far."""
        self._needs_break = bool(self.text)

    def add(self, events: Iterable[AnswerEvent], run: RunState) -> list[AnswerEvent]:
        """Append the text of events, and return them with the paragraph break that it needed."""
        return [self._append(event.text, run) if isinstance(event, Delta) else event for event in events]

    def _append(self, text: str, run: RunState) -> Delta:
        delta = f"\n\n{text}" if self._needs_break else text
        self._needs_break = False
        self.text += delta
        if run.first_token_ms is None:
            run.first_token_ms = run.elapsed_ms()
        return Delta(delta)
