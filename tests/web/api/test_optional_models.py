"""Models that an install may have: what they change for those who search and ask over REST."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.errors import Unavailable
from cairn.inference.protocols import Inference, Vectors
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import Environment
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval import engine
from retrieval.engine import Engine, use
from retrieval.index.generations import Opened
from retrieval.models import IndexGeneration
from tests.fakes import FakeChat, FakeEmbedder, FakeInference, FakeReader, FakeReranker
from tests.web.api.conftest import Caller, events, indexed, streamed
from tests.web.api.test_ask import QUESTION, asked
from tests.web.api.test_search import found

pytestmark = pytest.mark.django_db(transaction=True)
LEAVE, BICYCLES = "Employees get 25 days of leave a year.", "Bicycles are parked behind the house."
CLOSED = "The board gets 40 days of leave a year."


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, LEAVE, BICYCLES)
    return document


@pytest.fixture
def submitted(base: KnowledgeBase, mia: Caller) -> Callable[[str], Document]:
    def submit(name: str) -> Document:
        file = SimpleUploadedFile(name, name.encode())
        made = document_submit(Upload(file, name), knowledge_base=base, principal=mia.principal)
        return made.document

    return submit


@pytest.fixture
def board(submitted: Callable[[str], Document], mia: Caller, parts: Engine) -> Document:
    """Only mia may read it."""
    board = submitted("board.md")
    indexed(board, parts, CLOSED)
    readers_replace(document=board, readers=[f"user:{mia.user.id}"], actor=None)
    return board


def texts(hits: list[dict[str, Any]]) -> list[str]:
    return [hit["text"] for hit in hits]


def test_reranker_orders_hits_and_returns_its_score(mia: Caller, leave: Document, parts: Engine) -> None:
    assert texts(found(mia)) == [LEAVE, BICYCLES]
    with use(replace(parts, reranker=FakeReranker("bicycles"))):
        best, other = found(mia)
    assert texts([best, other]) == [BICYCLES, LEAVE]
    assert (best["score"], best["scores"]["rerank"], other["scores"]["rerank"]) == (1.0, 1.0, 0.0)
    assert best["scores"]["fused"] < other["scores"]["fused"]


def test_unavailable_reranker_is_ignored(mia: Caller, leave: Document, parts: Engine) -> None:
    with use(replace(parts, reranker=FakeReranker(failure=Unavailable("away")))):
        hits = found(mia)
        assert asked(mia)["verdict"] == "supported"
    assert texts(hits) == [LEAVE, BICYCLES]
    assert {hit["scores"]["rerank"] for hit in hits} == {None}


def test_question_is_answered_from_reranked_passages(mia: Caller, leave: Document, parts: Engine) -> None:
    with use(replace(parts, reranker=FakeReranker("bicycles"))):
        response = mia.post("/ask", {"question": QUESTION, "stream": True})
        sources = dict(events(streamed(response)))["sources"]
    assert texts(sources) == [BICYCLES, LEAVE]
    assert [hit["scores"]["rerank"] for hit in sources] == [1.0, 0.0]


def test_answer_reranker_does_not_affect_searches(mia: Caller, leave: Document, parts: Engine) -> None:
    with use(replace(parts, answer_reranker=FakeReranker("bicycles"))):
        hits = found(mia)
        response = mia.post("/ask", {"question": QUESTION, "stream": True})
        sources = dict(events(streamed(response)))["sources"]
    assert texts(hits) == [LEAVE, BICYCLES]
    assert [hit["score"] for hit in hits] == [hit["scores"]["fused"] for hit in hits]
    assert texts(sources) == [BICYCLES, LEAVE]


@pytest.mark.parametrize(
    ("model", "searches", "answers"),
    [
        ("", False, True),
        ("ms-marco-MiniLM-L-12-v2", False, True),
        ("/srv/own", True, False),
        ("none", False, False),
    ],
)
def test_packaged_reranker_is_used_only_for_answers(
    monkeypatch: pytest.MonkeyPatch, parts: Engine, model: str, searches: bool, answers: bool
) -> None:
    monkeypatch.setattr(engine, "environment", lambda: Environment(reranker_model=model))
    made = engine.engine_of(Opened(IndexGeneration(), parts.embedder, parts.index))
    assert (made.reranker is not None, made.answer_reranker is not None) == (searches, answers)
    assert (made.for_answers().reranker is not None) is (searches or answers)


def test_optional_models_read_only_passages_the_user_can_read(
    mia: Caller, rob: Caller, leave: Document, board: Document, parts: Engine, grant: Callable[..., None]
) -> None:
    grant(rob, Role.READER)
    reranker, reader, inference = FakeReranker(), FakeReader(), FakeInference()
    with use(replace(parts, reranker=reranker, reader=reader, inference=inference)):
        found(rob)
        asked(rob)
        read = [*reranker.texts, *(text for _, passages in reader.asked for text in passages)]
        read += [premise for batch in inference.batches for premise, _ in batch]
        assert any(LEAVE in text for text in read)
        assert not any("board" in text for text in read)
        found(mia)
        assert any(CLOSED in text for text in reranker.texts)


def test_reader_without_an_answer_span_refuses(mia: Caller, leave: Document, parts: Engine) -> None:
    with use(replace(parts, reader=FakeReader({"": 0.0}))):
        answer = asked(mia)
    assert (answer["verdict"], answer["mode"], answer["citations"]) == ("refused", "none", [])
    assert "none of them answers this question" in answer["reason"]
    assert [each["document"] for each in answer["nearest"]] == [str(leave.id)]


def test_answer_reader_hit_lets_the_model_write(mia: Caller, leave: Document, parts: Engine) -> None:
    assert isinstance(parts.chat, FakeChat)
    question = "How much time off is granted annually?"
    asked(mia, question=question)
    assert parts.chat.prompts == []
    with use(replace(parts, reader=FakeReader({"25 days": 0.95}))):
        asked(mia, question=question)
    assert len(parts.chat.prompts) == 1


def test_nli_model_decides_whether_sentences_are_supported(
    mia: Caller, leave: Document, parts: Engine
) -> None:
    assert asked(mia)["verdict"] == "supported"
    with use(replace(parts, inference=FakeInference())):
        answer = asked(mia)
    assert answer["mode"] != "generated"
    assert not answer["sentences"][0]["supported"]
    inferences = {("25 days", "Employees get 25 days of leave a year."): Inference(0.9, 0.0)}
    with use(replace(parts, inference=FakeInference(inferences))):
        assert asked(mia)["mode"] == "generated"


def test_passage_with_a_quoted_phrase_ranks_first(mia: Caller, leave: Document, parts: Engine) -> None:
    assert texts(found(mia, query="days of leave a year, behind the house")) == [LEAVE, BICYCLES]
    assert texts(found(mia, query='days of leave a year, "behind the house"')) == [BICYCLES, LEAVE]


def test_duplicate_passages_are_shown_once_and_replaced_by_others(
    mia: Caller, leave: Document, submitted: Callable[[str], Document], parts: Engine
) -> None:
    rule = "Whoever parks a car here pays at the desk, keeps the ticket and shows it when leaving"
    indexed(submitted("cars.md"), parts, f"{rule}.", f"{rule}, please.", f"{rule} after 40 days.")
    hits = texts(found(mia, query="parks a car", top_k=3))
    assert len(hits) == 3
    assert len([text for text in hits if text.startswith(rule)]) == 2


class Recording(FakeEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return super().embed_documents(texts)


def test_judging_and_quoting_embed_each_text_once(mia: Caller, leave: Document, parts: Engine) -> None:
    recording = Recording()
    with use(replace(parts, embedder=recording, chat=FakeChat("Bananas are yellow."))):
        assert asked(mia)["mode"] == "extractive"
    assert len(recording.texts) == len(set(recording.texts)) > 0
