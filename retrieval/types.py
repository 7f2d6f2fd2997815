"""Types shared by search, answering and their callers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cairn.answers import AnswerMode, Intent, Verdict
from cairn.errors import Unavailable
from cairn.library.cell_ranges import CellLine
from cairn.library.links import Link
from cairn.library.rendition import Box


@dataclass(frozen=True, slots=True)
class Scores:
    """dense: cosine; sparse: BM25; fused: the ranking score; rerank: the reranker's, if one ran."""

    dense: float | None
    sparse: float | None
    fused: float
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class VerifiedText:
    """A verified answer to the question, as its author wrote it, and the passage that has it."""

    text: str
    hit: "Hit"


@dataclass(frozen=True, slots=True)
class Owner:
    """The person responsible for a knowledge base."""

    id: UUID
    username: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A readable chunk found for a query. `elements` are indexes into its rendition.

    `location` describes where it is; `cells` does so for each line of a text from a sheet. `links` are in
    `text`. `code`: where code starts and ends in `text`; None if no code is marked. `dated`: the date in the
    document's metadata, in ISO format or only a year; empty without one.
    """

    chunk: UUID
    document: UUID
    version: UUID
    knowledge_base: UUID
    title: str
    source_uri: str
    section: tuple[str, ...]
    page: int | None
    ordinal: int
    text: str
    elements: tuple[int, ...]
    scores: Scores
    updated_at: datetime
    media_type: str = ""
    cells: tuple[CellLine, ...] = ()
    links: tuple[Link, ...] = ()
    code: tuple[tuple[int, int], ...] | None = None
    location: str = ""
    dated: str = ""
    knowledge_base_name: str = ""
    knowledge_base_owner: Owner | None = None
    official: bool = False

    @property
    def score(self) -> float:
        return self.scores.fused if self.scores.rerank is None else self.scores.rerank

    @property
    def heading(self) -> str:
        """The title and the sections that it is in. Neighbours in a passage may have other headings."""
        return " > ".join((self.title, *self.section))

    @property
    def headed_text(self) -> str:
        """The text below its heading, as it is embedded."""
        return f"{self.heading}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Location:
    """`location` in words, empty if there is nothing to add; `boxes` are on `page`."""

    page: int | None = None
    boxes: tuple[Box, ...] = ()
    location: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """`marker` is the [n] in the answer; `quote` is verbatim from the chunk, and `links` are in it."""

    marker: int
    chunk: UUID
    document: UUID
    version: UUID
    title: str
    page: int | None
    section: tuple[str, ...]
    quote: str
    boxes: tuple[Box, ...] = ()
    location: str = ""
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """`reason` says why a sentence is unsupported, empty for a supported one."""

    text: str
    supported: bool
    markers: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds from the question's arrival."""

    retrieval_ms: float = 0.0
    first_token_ms: float | None = None
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question and its answer in the same conversation."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class AnsweredPart:
    """One of the questions in a compound question."""

    question: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """Which language model wrote an answer, and why that one. Without one, `model` is empty."""

    model: str = ""
    location: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SpellingCorrection:
    """A word of a question, and the one that was searched for instead: a word of a passage found with it."""

    typed: str
    searched: str


@dataclass(frozen=True, slots=True)
class Declined:
    """A rule of the usage policy that declines a question, and its phrase that the question contains."""

    rule: str
    name: str
    phrase: str
    reply: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer.

    `parts` is empty for a simple question. `rewrite_version`: of the prompt, if a model rewrote the question.
    `failure`: why the model was unavailable, if passages are quoted instead. `broken_off`: it became
    unavailable in the middle. `library_query`: the query string of the library page with all documents of a
    list that is longer than the answer. `declined`: the rule of the usage policy whose reply this is.
    """

    question: str
    standalone_question: str
    text: str
    verdict: Verdict
    reason: str
    mode: AnswerMode
    citations: tuple[Citation, ...] = ()
    sentences: tuple[CheckedSentence, ...] = ()
    nearest: tuple[Hit, ...] = ()
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    prompt_version: str = ""
    parts: tuple[AnsweredPart, ...] = ()
    rewrite_version: str = ""
    signals: Mapping[str, float] = field(default_factory=dict)
    failure: Unavailable | None = None
    broken_off: bool = False
    intent: Intent = Intent.ASK
    library_query: str = ""
    route: ModelRoute = field(default_factory=ModelRoute)
    spelling: tuple[SpellingCorrection, ...] = ()
    declined: Declined | None = None


@dataclass(frozen=True, slots=True)
class Started:
    standalone_question: str
    intent: Intent = Intent.ASK


@dataclass(frozen=True, slots=True)
class Sources:
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Prompted:
    """The prompt was handed to the language model, which may still queue it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The request waits in the model's queue. `position` counts from 1."""

    position: int


@dataclass(frozen=True, slots=True)
class Delta:
    """Checked text to append to the answer; ends at a sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    citation: Citation


@dataclass(frozen=True, slots=True)
class Done:
    answer: Answer


@dataclass(frozen=True, slots=True)
class Failed:
    """`code` and `message` as in a problem document."""

    code: str
    message: str


AnswerEvent = Started | Sources | Prompted | Waiting | Delta | Cited | Done | Failed


@dataclass(frozen=True, slots=True)
class AnswerProfile:
    """How answers use a language model: what its best use is depends on the model.

    `writes`: whether the model is asked to write; if not, passages are quoted. `evidence_tokens`: how much
    of the passages it reads; None for as much as its context allows. `judges`: whether it also decides if the
    passages contain the answer.
    """

    writes: bool
    prompt_version: str
    evidence_tokens: int | None = None
    judges: bool = False
