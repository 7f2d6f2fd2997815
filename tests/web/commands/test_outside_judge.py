"""A judge outside the organisation isn't asked about passages that no outside model may read."""

import json
from collections.abc import Iterator

import pytest

from cairn.library.models import Document, KnowledgeBase
from cairn.settings import Environment
from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.evaluation.metrics import QuestionOutcome
from tests.cairn.inference.server import FakeServer
from tests.models import judge_respond
from web.cli import evaluation_calibration
from web.cli.evaluation_calibration import judge_outcomes

pytestmark = pytest.mark.django_db
TEXT = "The merger closes in June."


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        server.respond = judge_respond
        yield server


def outcome(text: str, document: Document) -> QuestionOutcome:
    asked = GoldQuestion(id="1", question="What is it?", relevant=("a",))
    return QuestionOutcome(
        question=asked, standalone=asked.question, ranking=(), answer=text, verdict="supported",
        cited=(), documents=(str(document.id),), passages=(text,), search_ms=1, answer_ms=1,
    )  # fmt: skip


def document_in(rule: str, *, closed: bool = False) -> Document:
    """The first document in a new knowledge base, whose second one may be closed to outside models."""
    base = KnowledgeBase.objects.create(name=rule, slug=rule, outside_models=rule)
    Document.objects.create(knowledge_base=base, title="b", source_key="b", forbids_outside_models=closed)
    return Document.objects.create(knowledge_base=base, title="a", source_key="a")


@pytest.mark.parametrize("location", ["inside", "outside"])
@pytest.mark.parametrize(("rule", "closed"), [("allow", False), ("allow", True), ("forbid", False)])
def test_outside_judge_reads_nothing_from_a_forbidding_knowledge_base(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, location: str, rule: str, closed: bool
) -> None:
    """The answer may repeat a document that it doesn't cite."""
    settings = Environment(judge_base_url=server.url, judge_model="large")
    given = settings.model_copy(update={"judge_location": location})
    monkeypatch.setattr(evaluation_calibration, "environment", lambda: given)
    document = document_in(rule, closed=closed)
    [judged] = judge_outcomes(
        [outcome(TEXT, document)], str(document.knowledge_base_id), lambda _what, _done, _total: None
    )
    may_read = location == "inside" or (rule == "allow" and not closed)
    assert (TEXT in json.dumps([exchange.body for exchange in server.exchanges])) == may_read
    assert (judged.faithfulness is not None) == may_read
