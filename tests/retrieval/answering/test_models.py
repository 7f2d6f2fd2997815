"""The whole path with the packaged models, over a few passages."""

import pytest

from cairn.inference.registry import chat_model, embedder
from retrieval.answering import answer
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.prompts.prompt import PACKAGED_VERSION
from retrieval.types import Answer, Citation, Cited, Delta, Done, Hit, Location, Sources
from tests.retrieval.answering.builders import LEAVE, TRAVEL, make_hit

pytestmark = pytest.mark.models

PARKING = "Parking permits are issued by the front desk every Wednesday. A permit costs 30 dollars a month."
HITS = [
    make_hit(LEAVE, dense=None),
    make_hit(TRAVEL, title="Travel", dense=None),
    make_hit(PARKING, title="Parking", dense=None),
]


def ask(question: str) -> tuple[Answer, list[object]]:
    found: list[object] = list(
        answer(
            question,
            search=lambda _: HITS,
            chat=chat_model(),
            embedder=embedder(),
            locate=lambda hit, quote: Location(),
            evidence=EvidenceBudget(chat_model(), 120, 500, PACKAGED_VERSION),
        )
    )
    last = found[-1]
    assert isinstance(last, Done)
    return last.answer, found


def assert_traceable(given: Answer, hits: list[Hit]) -> None:
    texts = {hit.chunk: hit.text for hit in hits}
    assert all(citation.quote in texts[citation.chunk] for citation in given.citations)
    assert all(f"[{citation.marker}]" in given.text for citation in given.citations)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "fact", "title"),
    [
        ("How much does a parking permit cost a month?", "30 dollars", "Parking"),
        ("How many days of annual leave do employees earn a year?", "25 days", "Annual leave"),
        ("How do I donate leave to a colleague?", "Form 630", "Annual leave"),
    ],
)
def test_real_models_answer_with_the_fact_and_its_source(question: str, fact: str, title: str) -> None:
    given, found = ask(question)
    assert given.verdict in ("supported", "partial")
    assert fact in given.text
    assert title in {citation.title for citation in given.citations}
    assert_traceable(given, HITS)
    assert given.text == "".join(event.text for event in found if isinstance(event, Delta))
    cited: list[Citation] = [event.citation for event in found if isinstance(event, Cited)]
    assert tuple(cited) == given.citations
    assert isinstance(found[1], Sources)


@pytest.mark.parametrize(
    "question",
    [
        "What is the cafeteria's lunch menu on Fridays?",
        "Up to how much are hotel costs reimbursed in Boise?",
        "Who painted the Mona Lisa?",
    ],
)
def test_real_models_refuse_unanswerable_questions(question: str) -> None:
    given, _ = ask(question)
    assert (given.verdict, given.mode, given.citations) == ("refused", "none", ())
