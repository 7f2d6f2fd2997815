"""A judge outside the organisation isn't asked about passages that no outside model may read."""

import json
from collections.abc import Iterator
from dataclasses import replace

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
OPEN, SECRET = "Visitors park on Elm Street.", "The merger closes in June."


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        server.respond = judge_respond
        yield server


def outcome(text: str, rule: str) -> QuestionOutcome:
    base = KnowledgeBase.objects.create(name=rule, slug=rule, outside_models=rule)
    document = Document.objects.create(knowledge_base=base, title=rule, source_key=rule)
    asked = GoldQuestion(id=rule, question="What is it?", relevant=("a",))
    return QuestionOutcome(
        question=asked, standalone=asked.question, ranking=(), answer=text, verdict="supported",
        cited=(), documents=(str(document.id),), passages=(text,), search_ms=1, answer_ms=1,
    )  # fmt: skip


@pytest.mark.parametrize("location", ["inside", "outside"])
def test_a_judge_reads_only_what_it_may(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    settings = Environment(judge_base_url=server.url, judge_model="large")
    given = settings.model_copy(update={"judge_location": location})
    monkeypatch.setattr(evaluation_calibration, "environment", lambda: given)
    outcomes = [outcome(SECRET, "forbid"), outcome(OPEN, "allow")]
    judged = judge_outcomes(outcomes, lambda _what, _done, _total: None)
    sent = json.dumps([exchange.body for exchange in server.exchanges])
    assert (SECRET in sent, OPEN in sent) == (location == "inside", True)
    assert judged[1].faithfulness is not None
    if location == "outside":
        assert judged[0] == replace(outcomes[0])
