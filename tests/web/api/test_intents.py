"""Messages that ask for documents, over HTTP: lists, finding, summaries and comparisons."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.engine import Engine
from retrieval.gaps.models import GapQuestion
from retrieval.intents.list_documents import MAX_TITLES
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, events, indexed, streamed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def add(base: KnowledgeBase, mia: Caller, parts: Engine) -> Callable[..., Document]:
    """Add a searchable document; its passages are the texts."""

    def add(title: str, *texts: str, base: KnowledgeBase = base) -> Document:
        file = SimpleUploadedFile(f"{title}.md", f"# {title}".encode())
        upload = Upload(file, f"{title}.md", title=title)
        document = document_submit(upload, knowledge_base=base, principal=mia.principal).document
        indexed(document, parts, *(texts or (f"This is about {title}.",)))
        return document

    return add


def ask(caller: Caller, question: str, **body: Any) -> dict[str, Any]:
    response = caller.post("/ask", {"question": question, **body})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def test_a_list_is_complete_and_says_where_the_topic_was_found(
    mia: Caller, add: Callable[..., Document]
) -> None:
    titled = [add("Travel policy", "Book early."), add("Booking travel", "Use the portal.")]
    mentioned = add("Expenses", "Costs of travel are paid back.")
    add("Parking", "Bicycles are parked behind the house.")
    answer = ask(mia, "Which documents do you have about travel?")
    assert answer["intent"] == "list"
    assert answer["verdict"] == "supported"
    assert "2 documents have “travel” in the title" in answer["answer"]
    assert "One more document mentions “travel”" in answer["answer"]
    assert "Parking" not in answer["answer"]
    assert [each["document"] for each in answer["citations"]] == [
        str(titled[1].id),
        str(titled[0].id),
        str(mentioned.id),
    ]
    assert mia.get(f"/conversations/{answer['conversation']}").json()["messages"] == [answer]


def test_a_long_list_shows_its_beginning_and_links_to_all(mia: Caller, add: Callable[..., Document]) -> None:
    for number in range(MAX_TITLES + 3):
        add(f"Policy {number:02}")
    answer = ask(mia, "How many documents do you have?")
    assert f"You can read {MAX_TITLES + 3} documents:" in answer["answer"]
    assert "3 more aren’t shown here." in answer["answer"]
    assert [each["title"] for each in answer["citations"]] == [f"Policy {n:02}" for n in range(MAX_TITLES)]
    assert answer["library_url"] == "/library?sort=title"


def test_a_list_has_only_what_its_reader_may_read(
    mia: Caller, rob: Caller, add: Callable[..., Document], grant: Callable[[Caller, Role], None]
) -> None:
    open_to_all, secret = add("Travel policy"), add("Secret travel plans", "Travel to the moon.")
    readers_replace(document=secret, readers=[f"user:{mia.user.id}"], actor=mia.user.id)
    grant(rob, Role.READER)
    answer = ask(rob, "Which documents do you have about travel?")
    assert "One document has “travel” in its title" in answer["answer"]
    assert [each["document"] for each in answer["citations"]] == [str(open_to_all.id)]
    assert "Secret" not in str(answer)
    assert "2 documents have" in ask(mia, "Which documents do you have about travel?")["answer"]


def test_a_list_of_a_knowledge_base_is_found_by_its_name(mia: Caller, add: Callable[..., Document]) -> None:
    add("Travel policy")
    answer = ask(mia, "How many documents are in the handbook?")
    assert "You can read one document in “Handbook”:" in answer["answer"]
    missing = ask(mia, "How many documents are in Finance?")
    assert "No document that you can read has “Finance” in its title" in missing["answer"]


def test_a_list_of_documents_that_arent_there_is_no_gap(mia: Caller, add: Callable[..., Document]) -> None:
    answer = ask(mia, "Welche Dokumente gibt es zu Reisekosten?")
    assert answer["intent"] == "list"
    assert "Kein Dokument, das Sie lesen können, hat „Reisekosten“" in answer["answer"]
    assert not GapQuestion.objects.exists()


def test_policies_that_only_a_text_describes_are_a_question(
    mia: Caller, add: Callable[..., Document], parts: Engine
) -> None:
    add("Handbook", "The policies are the travel policy and the leave policy.")
    assert isinstance(parts.chat, FakeChat)
    answer = ask(mia, "List all policies")
    assert answer["intent"] == "ask"
    add("Travel policy")
    assert ask(mia, "List all policies")["intent"] == "list"


def test_a_list_streams(mia: Caller, add: Callable[..., Document]) -> None:
    add("Travel policy")
    response = mia.post("/ask", {"question": "List all documents", "stream": True})
    names = [name for name, _ in events(streamed(response))]
    assert names[:2] == ["start", "sources"]
    assert names[-1] == "done"
    assert {"delta", "citation"} <= set(names)


def test_programs_for_openai_get_the_intent(mia: Caller, add: Callable[..., Document]) -> None:
    add("Travel policy")
    body = {"model": "cairn", "messages": [{"role": "user", "content": "List all documents"}]}
    response = mia.client.post(
        "/v1/chat/completions", body, content_type="application/json",
        headers={"Authorization": f"Bearer {mia.key}"},
    )  # fmt: skip
    assert response.status_code == 200, response.content
    assert response.json()["intent"] == "list"
    assert "Travel policy" in response.json()["choices"][0]["message"]["content"]
