"""Questions in context over HTTP: follow-ups, questions in one, and documents that differ."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.library.models import Document, KnowledgeBase
from cairn.settings import environment
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.engine import Engine, use
from retrieval.models import Message
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, events, indexed, streamed

pytestmark = pytest.mark.django_db(transaction=True)
LEAVE = "Employees get 25 days of leave a year."
BICYCLES = "Bicycles are parked behind the house."
SUBMIT = Callable[..., Document]


@pytest.fixture
def submitted(base: KnowledgeBase, mia: Caller, parts: Engine) -> SUBMIT:
    def submit(name: str, *texts: str, metadata: dict[str, str] | None = None) -> Document:
        file = SimpleUploadedFile(f"{name}.md", texts[0].encode())
        upload = Upload(file, f"{name}.md", title=name, metadata=metadata)
        document = document_submit(upload, knowledge_base=base, principal=mia.principal).document
        indexed(document, parts, *texts)
        return document

    return submit


@pytest.fixture
def ask_question(mia: Caller, parts: Engine) -> Callable[..., dict[str, Any]]:
    def ask(question: str, *lines: str, chat: FakeChat | None = None, **body: Any) -> dict[str, Any]:
        with use(Engine(parts.embedder, parts.index, chat or FakeChat(*lines))):
            response = mia.post("/ask", {"question": question, **body})
        assert response.status_code == 200, response.content
        answer: dict[str, Any] = response.json()
        return answer

    return ask


@pytest.fixture
def rewriting(monkeypatch: pytest.MonkeyPatch) -> None:
    given = environment().model_copy(update={"rewrite_questions": "on"})
    monkeypatch.setattr("retrieval.engine.effective_environment", lambda: given)


def verdicts(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(part["question"], part["verdict"]) for part in answer["parts"]]


BOTH = "How many days of leave do employees get a year, and where are bicycles parked?"
FIRST, SECOND = "How many days of leave do employees get a year?", "Where are bicycles parked?"


def test_each_part_of_a_question_uses_its_own_passages(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    submitted("Parking", BICYCLES)
    answer = ask_question(BOTH, f"{LEAVE[:-1]} [1].", f"{BICYCLES[:-1]} [1].")
    assert answer["answer"] == f"{LEAVE} [1]\n\n{BICYCLES} [2]"
    assert (answer["verdict"], answer["mode"]) == ("supported", "generated")
    assert verdicts(answer) == [(FIRST, "supported"), (SECOND, "supported")]
    assert [citation["title"] for citation in answer["citations"]] == ["Leave", "Parking"]
    assert [citation["marker"] for citation in answer["citations"]] == [1, 2]
    assert answer["standalone_question"] == BOTH


def test_unanswered_part_is_named(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    chat = FakeChat(f"{LEAVE[:-1]} [1].")
    answer = ask_question(f"{FIRST} Who repairs broken helicopters?", chat=chat)
    assert answer["answer"] == f"{LEAVE} [1]\n\nNot covered by the documents: Who repairs broken helicopters?"
    assert answer["verdict"] == "partial"
    assert answer["reason"] == "Not covered by the documents: Who repairs broken helicopters?"
    assert verdicts(answer) == [(FIRST, "supported"), ("Who repairs broken helicopters?", "refused")]
    assert len(chat.prompts) == 1
    assert "helicopters" not in str(chat.prompts[0])


def test_question_text_in_an_answer_is_escaped(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    answer = ask_question(f"{FIRST} Who repairs <b>broken</b> *helicopters* [1]?", f"{LEAVE[:-1]} [1].")
    assert "\\<b>broken\\</b> \\*helicopters\\* \\[1\\]" in answer["answer"]


def test_question_without_an_answered_part_is_refused(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    chat = FakeChat("Never asked.")
    answer = ask_question("Who repairs broken helicopters and where do submarines dock?", chat=chat)
    assert (answer["verdict"], answer["mode"], answer["answer"]) == ("refused", "none", "")
    assert [verdict for _, verdict in verdicts(answer)] == ["refused", "refused"]
    assert chat.prompts == []


def test_part_refused_by_the_model_is_named(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    submitted("Parking", BICYCLES)
    answer = ask_question(BOTH, f"{LEAVE[:-1]} [1].", "The passages do not tell.")
    assert answer["answer"].endswith(f"Not covered by the documents: {SECOND}")
    assert answer["verdict"] == "partial"


def test_model_failure_between_parts_is_not_reported_as_missing_content(
    submitted: SUBMIT, ask_question: Any
) -> None:
    submitted("Leave", LEAVE)
    submitted("Parking", BICYCLES)
    answer = ask_question(BOTH, chat=BreaksAt(2, f"{LEAVE[:-1]} [1]."))
    assert "Not covered" not in answer["answer"]
    assert answer["verdict"] == "partial"
    assert BICYCLES.rstrip(".") in answer["answer"]  # quoted
    assert "isn’t available right now" in answer["reason"]


def test_unavailable_model_is_called_once(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    submitted("Parking", BICYCLES)
    chat = BreaksAt(1, "Never heard.")
    answer = ask_question(BOTH, chat=chat)
    assert len(chat.prompts) == 1
    assert answer["mode"] == "extractive"


def test_citation_markers_continue_after_an_unanswered_part(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    submitted("Parking", BICYCLES)
    submitted("Canteen", "Lunch in the canteen costs 5 dollars.")
    question = f"{FIRST} {SECOND} What does lunch in the canteen cost?"
    lines = f"{LEAVE[:-1]} [1].", "The passages do not tell.", "Lunch in the canteen costs 5 dollars [1]."
    answer = ask_question(question, *lines)
    assert answer["answer"].startswith(f"{LEAVE} [1]\n\nLunch in the canteen costs 5 dollars. [2]")
    assert [citation["marker"] for citation in answer["citations"]] == [1, 2]


class BreaksAt(FakeChat):
    """Unreachable from its n-th answer on."""

    def __init__(self, at: int, *lines: str) -> None:
        super().__init__(*lines)
        self._at = at

    def stream(self, messages: Sequence[Any], *, max_tokens: int) -> Any:
        pieces = super().stream(messages, max_tokens=max_tokens)
        self._broken_after = 0 if len(self.prompts) >= self._at else None
        return pieces


def test_parts_are_streamed_into_one_answer(mia: Caller, submitted: SUBMIT, parts: Engine) -> None:
    submitted("Leave", LEAVE)
    submitted("Parking", BICYCLES)
    with use(Engine(parts.embedder, parts.index, FakeChat(f"{LEAVE[:-1]} [1].", f"{BICYCLES[:-1]} [1]."))):
        found = events(streamed(mia.post("/ask", {"question": BOTH, "stream": True})))
    text = "".join(data["text"] for name, data in found if name == "delta")
    done = dict(found)["done"]
    assert text == done["answer"]
    assert [hit["title"] for hit in dict(found)["sources"]][:2] == ["Leave", "Parking"]


def test_conflicting_documents_are_both_cited_with_dates(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave policy 2021", LEAVE)
    submitted("Leave policy", LEAVE.replace("25", "27"), metadata={"date": "2023-05-01"})
    answer = ask_question(FIRST, f"{LEAVE[:-1]} [1].", f"{LEAVE[:-1]} [1].")
    says = answer["answer"].partition("\n\n")[2]
    assert says == (
        "The documents disagree: “Leave policy 2021” (2021, from its title) says 25 days [1], "
        "“Leave policy” (dated 2023-05-01) says 27 days [2]."
    )
    assert {citation["title"] for citation in answer["citations"]} == {"Leave policy 2021", "Leave policy"}
    assert answer["verdict"] == "supported"
    assert "disagree about this" in answer["reason"]
    assert answer["sentences"][-1] == {"text": says, "supported": True, "markers": [1, 2], "reason": ""}


def test_conflicting_documents_are_cited_without_a_model(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave policy 2021", LEAVE)
    submitted("Leave policy 2023", LEAVE.replace("25", "27"))
    answer = ask_question(FIRST, "Nothing that holds.")
    assert answer["mode"] == "extractive"
    assert "The documents disagree" in answer["answer"]
    assert "disagree about this" in answer["reason"]


def test_title_cannot_inject_markdown_into_the_remark(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave [9] *now* 2021", LEAVE)
    submitted("Leave [9] *now* 2023", LEAVE.replace("25", "27"))
    answer = ask_question(FIRST, f"{LEAVE[:-1]} [1].")
    assert "Leave \\[9\\] \\*now\\* 2021" in answer["answer"]


def test_deleted_document_is_not_reported_as_conflicting(
    submitted: SUBMIT, ask_question: Any, rob: Caller, parts: Engine
) -> None:
    submitted("Leave policy 2021", LEAVE)
    hidden = submitted("Leave policy 2023", LEAVE.replace("25", "27"))
    Document.objects.filter(pk=hidden.pk).update(deleted_at=hidden.created_at)
    answer = ask_question(FIRST, f"{LEAVE[:-1]} [1].")
    assert "differ" not in answer["answer"]


def test_follow_up_is_asked_with_its_subject(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    first = ask_question(FIRST, f"{LEAVE[:-1]} [1].")
    chat = FakeChat("Part-timers get 10 days.")
    second = ask_question("And for part-timers?", chat=chat, conversation=first["conversation"])
    assert second["standalone_question"] == f"{FIRST} And for part-timers?"
    kept = Message.objects.get(pk=second["id"])
    assert kept.trace["rewrite_version"] == ""


def test_new_topic_ignores_the_previous_subject(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    first = ask_question(FIRST, f"{LEAVE[:-1]} [1].")
    second = ask_question(SECOND, "No.", conversation=first["conversation"])
    assert second["standalone_question"] == SECOND


def test_capable_model_rewrites_follow_ups(rewriting: None, submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE, "Interns get 10 days of leave a year.")
    first = ask_question(FIRST, f"{LEAVE[:-1]} [1].")
    rewritten = "How many days of leave do interns get a year?"
    chat = FakeChat(rewritten, "Interns get 10 days of leave a year [1].")
    second = ask_question("And interns?", chat=chat, conversation=first["conversation"])
    assert second["standalone_question"] == rewritten
    assert "10 days" in second["answer"]
    assert rewritten in str(chat.prompts[1])
    assert Message.objects.get(pk=second["id"]).trace["rewrite_version"] == "standalone-1"


def test_unrelated_rewrite_is_rejected(rewriting: None, submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    first = ask_question(FIRST, f"{LEAVE[:-1]} [1].")
    second = ask_question("And interns?", "What is Dana's salary?", "No.", conversation=first["conversation"])
    assert second["standalone_question"] == f"{FIRST} And interns?"


def test_packaged_model_does_not_rewrite_questions(submitted: SUBMIT, ask_question: Any) -> None:
    submitted("Leave", LEAVE)
    first = ask_question(FIRST, f"{LEAVE[:-1]} [1].")
    chat = FakeChat("Interns get leave.")
    ask_question("And interns?", chat=chat, conversation=first["conversation"])
    assert all("stands by itself" not in str(prompt) for prompt in chat.prompts)
