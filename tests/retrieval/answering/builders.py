"""Builders of hits, questions and answers for the tests of answering."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from llama_index.core.llms import ChatMessage

from cairn.errors import Unavailable
from retrieval.answering import answer
from retrieval.answering.protocols import Judgement
from retrieval.answering.text.refusals import ReplyLanguage
from retrieval.types import Answer, AnswerEvent, Done, Hit, Location, Scores
from tests.fakes import FakeEmbedder

LEAVE = (
    "Employees earn 25 days of annual leave a year. Unused leave of up to 5 days may be carried over until "
    "March 31. Leave must not be paid out.\n\n"
    "To donate leave to a colleague:\n1. Fill in Form 630.\n2. Send it to Dana Whitfield in Payroll."
)
TRAVEL = (
    "Hotel costs are reimbursed up to $180 a night. Submit the voucher within 5 business days after the trip."
)


def identity(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, name)


def make_hit(
    text: str,
    *,
    title: str = "Annual leave",
    ordinal: int = 0,
    section: tuple[str, ...] = (),
    dense: float | None = 0.8,
    dated: str = "",
) -> Hit:
    return Hit(
        chunk=identity(f"{title}/{ordinal}"),
        document=identity(title),
        version=identity(f"{title} v1"),
        knowledge_base=identity("kb"),
        title=title,
        source_uri=f"{title}.md",
        section=section,
        page=None,
        ordinal=ordinal,
        text=text,
        elements=(ordinal,),
        scores=Scores(dense=dense, sparse=1.0, fused=dense or 0.0),
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
        dated=dated,
    )


class PieceStream(Iterator[str]):
    """Pieces of a fixed length, so that units are cut at any position; may raise an error at the end."""

    def __init__(self, text: str, error: Exception | None, size: int = 3) -> None:
        self._pieces = iter([text[at : at + size] for at in range(0, len(text), size)])
        self._error = error
        self.given = 0
        self.closed = False

    def __next__(self) -> str:
        if self.closed:
            raise StopIteration
        piece = next(self._pieces, None)
        if piece is None:
            if self._error is not None:
                raise self._error
            raise StopIteration
        self.given += 1
        return piece

    def close(self) -> None:
        self.closed = True


class Writer:
    """A chat model that writes the same text whatever it is asked."""

    name = "writer"

    def __init__(self, text: str, *, error: Exception | None = None, context_tokens: int = 4096) -> None:
        self.context_tokens = context_tokens
        self.prompts: list[Sequence[ChatMessage]] = []
        self.streams: list[PieceStream] = []
        self._text, self._error = text, error

    def count_tokens(self, text: str) -> int:
        return len(text) // 4

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> PieceStream:
        self.prompts.append(messages)
        self.streams.append(PieceStream(self._text, self._error))
        return self.streams[-1]


class Away(Writer):
    def __init__(self) -> None:
        super().__init__("")

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> PieceStream:
        raise Unavailable("The language model is not reachable.")


class Says:
    """An Answerability that always returns the same judgement."""

    def __init__(self, judgement: Judgement) -> None:
        self.judgement = judgement

    def judge(
        self, question: str, evidence: Sequence[Hit], language: ReplyLanguage | None = None
    ) -> Judgement:
        return self.judgement


STRONG = Says(Judgement(answerable=True, strong=True))
WEAK = Says(Judgement(answerable=True, strong=False))


def events(
    question: str,
    hits: Sequence[Hit],
    chat: Writer,
    *,
    answerability: Says | None = STRONG,
    grounding: str = "strict",
    cancelled: Callable[[], bool] = lambda: False,
    selects: bool = False,
    writes: bool = True,
) -> Iterator[AnswerEvent]:
    return answer(
        question,
        search=lambda _: hits,
        chat=chat,
        embedder=FakeEmbedder(),
        locate=lambda hit, quote: Location(3, ((0.1, 0.2, 0.3, 0.4),), "page 3"),
        answerability=answerability,
        grounding=grounding,
        cancelled=cancelled,
        selects=selects,
        writes=writes,
    )


def answered(
    question: str,
    hits: Sequence[Hit],
    chat: Writer,
    *,
    answerability: Says | None = STRONG,
    grounding: str = "strict",
    selects: bool = False,
    writes: bool = True,
) -> Answer:
    heard = events(
        question,
        hits,
        chat,
        answerability=answerability,
        grounding=grounding,
        selects=selects,
        writes=writes,
    )
    last = list(heard)[-1]
    assert isinstance(last, Done)
    return last.answer
