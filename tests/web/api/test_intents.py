"""Messages that ask for documents, over HTTP: lists, finding, summaries and comparisons."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.library.models import Chunk, Document, KnowledgeBase
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.conversations import ask as ask_service
from retrieval.engine import Engine, use
from retrieval.gaps.models import GapQuestion
from retrieval.intents import list_documents
from retrieval.intents.list_documents import MAX_TITLES
from retrieval.intents.summarise_document import MAX_SECTIONS
from retrieval.models import Message, MessageState
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, events, indexed, streamed

UNKNOWN = "I found nothing about this in the documents you can access."
NO_TITLE = "I found no document with this title."
SECTIONS = ("Flights", "Hotels", "Receipts")
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


def test_document_list_is_complete_and_shows_where_the_topic_occurs(
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


def test_long_document_list_is_cut_and_links_to_all(mia: Caller, add: Callable[..., Document]) -> None:
    for number in range(MAX_TITLES + 3):
        add(f"Policy {number:02}")
    answer = ask(mia, "How many documents do you have?")
    assert f"You can read {MAX_TITLES + 3} documents:" in answer["answer"]
    assert "3 more aren’t shown here." in answer["answer"]
    assert [each["title"] for each in answer["citations"]] == [f"Policy {n:02}" for n in range(MAX_TITLES)]
    assert answer["library_url"] == "/library?sort=title"


def test_long_document_list_is_counted_once(
    mia: Caller, add: Callable[..., Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With over 100,000 documents, counting takes a quarter of a second."""
    for number in range(MAX_TITLES + 1):
        add(f"Travel {number:02}")
    counted = []
    count = list_documents._Listing.count

    def count_and_note(listing: list_documents._Listing, words: Sequence[str]) -> int:
        counted.append(words)
        return count(listing, words)

    monkeypatch.setattr(list_documents._Listing, "count", count_and_note)
    answer = ask(mia, "Which documents do you have about travel?")
    assert answer["library_url"] == "/library?q=travel&sort=title"
    assert len(counted) == 1


def test_document_list_contains_only_readable_documents(
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


def test_document_list_of_a_knowledge_base_is_selected_by_name(
    mia: Caller, add: Callable[..., Document]
) -> None:
    add("Travel policy")
    answer = ask(mia, "How many documents are in the handbook?")
    assert "You can read one document in “Handbook”:" in answer["answer"]
    missing = ask(mia, "How many documents are in Finance?")
    assert "No document that you can read has “Finance” in its title" in missing["reason"]


def test_empty_document_list_is_not_a_gap(mia: Caller, add: Callable[..., Document]) -> None:
    answer = ask(mia, "Welche Dokumente gibt es zu Reisekosten?")
    assert (answer["intent"], answer["verdict"], answer["mode"]) == ("list", "refused", "none")
    assert answer["answer"] == ""
    assert "Kein Dokument, das Sie lesen können, hat „Reisekosten“" in answer["reason"]
    assert not GapQuestion.objects.exists()


@pytest.mark.parametrize(
    "question",
    [
        "Welche Dokumente gibt es zum Thema Reisen?",
        "Welche Dokumente über das Thema Reisen gibt es?",
        "Which documents do you have on the topic of Reisen?",
    ],
)
def test_topic_may_be_introduced_as_a_topic(mia: Caller, add: Callable[..., Document], question: str) -> None:
    add("Reisen")
    answer = ask(mia, question)
    assert (answer["intent"], [each["title"] for each in answer["citations"]]) == ("list", ["Reisen"])


@pytest.mark.parametrize("single", [True, False])
def test_shared_document_list_hides_the_count_of_its_owner(
    mia: Caller,
    rob: Caller,
    add: Callable[..., Document],
    grant: Callable[[Caller, Role], None],
    single: bool,
) -> None:
    documents = [add(f"Policy {number:02}") for number in range(MAX_TITLES + 3)]
    for secret in documents[MAX_TITLES:]:
        readers_replace(document=secret, readers=[f"user:{mia.user.id}"], actor=mia.user.id)
    grant(rob, Role.READER)
    answer = ask(mia, "List all documents")
    path = f"/messages/{answer['id']}" if single else f"/conversations/{answer['conversation']}"
    share = mia.put(f"{path}/share", {"subjects": ["everyone"]}).json()["id"]
    [own] = mia.get(f"/shared/{share}").json()["messages"]
    [seen] = rob.get(f"/shared/{share}").json()["messages"]
    assert f"{MAX_TITLES + 3} documents" in own["answer"]
    assert len(seen["answer"].splitlines()) == len(seen["citations"]) == MAX_TITLES
    assert "can read" not in seen["answer"]
    assert "more" not in seen["answer"]
    copy = rob.post(f"/shared/{share}/continue").json()["id"]
    [copied] = rob.get(f"/conversations/{copy}").json()["messages"]
    assert (copied["answer"], copied["library_url"]) == (seen["answer"], "")


def test_policies_that_only_a_text_describes_are_a_question(
    mia: Caller, add: Callable[..., Document], parts: Engine
) -> None:
    add("Handbook", "The policies are the travel policy and the leave policy.")
    assert isinstance(parts.chat, FakeChat)
    answer = ask(mia, "List all policies")
    assert answer["intent"] == "ask"
    add("Travel policy")
    assert ask(mia, "List all policies")["intent"] == "list"


def test_document_list_is_streamed(mia: Caller, add: Callable[..., Document]) -> None:
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


def test_find_intent_matches_titles(mia: Caller, add: Callable[..., Document]) -> None:
    policy = add("Travel and expense policy", "Keep the receipts.")
    add("Parking policy", "Bicycles are parked behind the house.")
    answer = ask(mia, "Where is the expense policy?")
    assert (answer["intent"], answer["verdict"]) == ("find", "supported")
    [citation] = answer["citations"]
    assert citation["document"] == str(policy.id)
    assert "(Handbook): Keep the receipts" in answer["answer"]


def test_find_intent_matches_contents(mia: Caller, add: Callable[..., Document]) -> None:
    rules = add("Rules", "Bicycles are parked behind the house.", "Employees get 25 days of leave a year.")
    answer = ask(mia, "Find the document about bicycles")
    assert "No document has “bicycles” in its title" in answer["answer"]
    assert [each["document"] for each in answer["citations"]] == [str(rules.id)]


def test_find_intent_treats_unreadable_documents_as_missing(
    mia: Caller, rob: Caller, add: Callable[..., Document], grant: Callable[[Caller, Role], None]
) -> None:
    secret = add("Moon report", "The rocket starts on Monday.")
    readers_replace(document=secret, readers=[f"user:{mia.user.id}"], actor=mia.user.id)
    grant(rob, Role.READER)
    for hidden, absent in (
        ("Find the document about the rocket", "Find the document about the zeppelin"),
        ("Summarise Moon report.md", "Summarise Mars report.md"),
    ):
        first, second = ask(rob, hidden), ask(rob, absent)
        assert first["verdict"] == second["verdict"] == "refused"
        assert first["reason"] == second["reason"] == UNKNOWN
        assert first["citations"] == first["nearest"] == []
        assert ask(mia, hidden)["verdict"] != "refused"
    assert not GapQuestion.objects.exists()


def test_where_question_has_the_ask_intent(mia: Caller, leave: Document) -> None:
    assert ask(mia, "Where is the travel policy?")["intent"] == "ask"


@pytest.fixture
def name_sections() -> Callable[..., None]:
    """Set the headings above a document's passages."""

    def name(document: Document, *headings: str) -> None:
        for chunk, heading in zip(Chunk.objects.filter(version__document=document), headings, strict=True):
            Chunk.objects.filter(pk=chunk.pk).update(section=[document.title, heading])

    return name


@pytest.fixture
def policy(add: Callable[..., Document]) -> Document:
    """A document with three sections."""
    document = add(
        "Travel policy",
        "Employees book flights in the portal. The portal shows flights of all airlines.",
        "Hotels cost at most 120 euros a night. Hotels are booked in the portal.",
        "Receipts are handed in within a month. Receipts are kept for ten years.",
    )
    for chunk, heading in zip(Chunk.objects.filter(version__document=document), SECTIONS, strict=True):
        Chunk.objects.filter(pk=chunk.pk).update(section=["Travel policy", heading])
    return document


def test_summary_quotes_each_section(mia: Caller, policy: Document, parts: Engine) -> None:
    with use(replace(parts, writes_answers=False)):
        answer = ask(mia, "Summarise the travel policy")
    assert (answer["intent"], answer["mode"], answer["verdict"]) == ("summarise", "extractive", "partial")
    places = [answer["answer"].index(f"**{heading}**") for heading in SECTIONS]
    assert places == sorted(places)
    assert {citation["document"] for citation in answer["citations"]} == {str(policy.id)}
    texts = dict(Chunk.objects.filter(version__document=policy).values_list("id", "text"))
    for citation in answer["citations"]:
        assert citation["quote"] in texts[UUID(citation["chunk"])]
    assert {tuple(citation["section"])[-1] for citation in answer["citations"]} == set(SECTIONS)


def test_generated_summary_is_checked(mia: Caller, policy: Document, parts: Engine) -> None:
    chat = FakeChat(
        "Employees book flights in the portal [1].",
        "Hotels cost at most 950 euros a night [1].",
        "Receipts are handed in within a month [1].",
    )
    with use(replace(parts, chat=chat)):
        answer = ask(mia, "Summarise the travel policy")
    assert (answer["intent"], answer["mode"], answer["verdict"]) == ("summarise", "generated", "partial")
    assert "Employees book flights in the portal. [1]" in answer["answer"]
    assert "950" not in answer["answer"]
    assert "> Hotels" in answer["answer"]
    assert len(chat.prompts) == len(SECTIONS)


def test_document_of_the_last_answer_can_be_summarised(
    mia: Caller, policy: Document, leave: Document, parts: Engine
) -> None:
    with use(replace(parts, writes_answers=False)):
        first = ask(mia, "Find the document about hotels")
        summary = ask(mia, "Summarise it", conversation=first["conversation"])
        assert {each["document"] for each in summary["citations"]} == {str(policy.id)}
        alone = ask(mia, "Summarise this document")
        assert (alone["intent"], alone["verdict"], alone["reason"]) == ("summarise", "refused", UNKNOWN)


def test_document_of_a_list_can_be_summarised(
    mia: Caller, policy: Document, add: Callable[..., Document], parts: Engine
) -> None:
    add("A note", "Bicycles are parked behind the house.")
    with use(replace(parts, writes_answers=False)):
        listed = ask(mia, "list everything uploaded this month")
        assert [each["title"] for each in listed["citations"]] == ["A note", "Travel policy"]
        summary = ask(mia, "summarise the second one", conversation=listed["conversation"])
        assert {each["document"] for each in summary["citations"]} == {str(policy.id)}
        missing = ask(mia, "summarise the fifth one", conversation=listed["conversation"])
    assert (missing["intent"], missing["reason"]) == ("summarise", UNKNOWN)


def test_everything_about_a_topic_gives_a_list(mia: Caller, policy: Document) -> None:
    answer = ask(mia, "show me everything about travel")
    assert (answer["intent"], [each["title"] for each in answer["citations"]]) == ("list", ["Travel policy"])


@pytest.mark.parametrize(
    ("message", "intent"),
    [("Summarise the zeppelin handbook", "summarise"), ("Open the zeppelin handbook", "find")],
)
def test_unknown_title_is_refused_without_a_gap(
    mia: Caller, policy: Document, message: str, intent: str
) -> None:
    answer = ask(mia, message)
    assert (answer["intent"], answer["verdict"], answer["reason"]) == (intent, "refused", NO_TITLE)
    assert [each["title"] for each in answer["nearest"]] == ["Travel policy"]
    assert not GapQuestion.objects.exists()


def test_section_with_only_a_title_is_not_summarised(
    mia: Caller, policy: Document, name_sections: Callable[..., None], parts: Engine
) -> None:
    first = Chunk.objects.get(version__document=policy, ordinal=0)
    Chunk.objects.filter(pk=first.pk).update(text="Travel policy", section=["Travel policy"])
    with use(replace(parts, writes_answers=False)):
        answer = ask(mia, "Summarise the travel policy")
    assert "> Travel policy" not in answer["answer"]
    assert "> Hotels" in answer["answer"]
    assert str(first.pk) not in {each["chunk"] for each in answer["citations"]}


def test_summary_shows_tables_as_tables(mia: Caller, add: Callable[..., Document]) -> None:
    rates = "City | Rate\n" + "\n".join(f"Town{number} | ${100 + number}" for number in range(9))
    add("Hotel rates", rates)
    answer = ask(mia, "Summarise hotel rates")
    assert "> | City | Rate |\n> | --- | --- |\n> | Town0 | $100 |" in answer["answer"]
    [citation] = answer["citations"]
    assert citation["quote"].startswith("City | Rate\nTown0 | $100")


def test_summary_has_the_requested_length(mia: Caller, policy: Document, parts: Engine) -> None:
    with use(replace(parts, writes_answers=False)):
        answer = ask(mia, "Summarise the travel policy in two sentences")
    assert len(answer["citations"]) == 2
    assert len([line for line in answer["answer"].splitlines() if line]) == 2


def test_ambiguous_title_gives_a_clarifying_question(
    mia: Caller, policy: Document, add: Callable[..., Document]
) -> None:
    add("Travel policy for guests")
    add("Travel policy for drivers")
    answer = ask(mia, "Summarise the policy for travel")
    assert "Which one should I summarise?" in answer["answer"]
    assert len(answer["citations"]) == 3
    assert ask(mia, "Summarise the travel policy")["intent"] == "summarise"


def test_long_document_is_partly_summarised_with_a_notice(
    mia: Caller, add: Callable[..., Document], parts: Engine
) -> None:
    count = MAX_SECTIONS + 5
    document = add("Manual", *(f"Machine {n} is cleaned with brush {n} every day." for n in range(count)))
    for number, chunk in enumerate(Chunk.objects.filter(version__document=document)):
        Chunk.objects.filter(pk=chunk.pk).update(section=[f"Machine {number}"])
    with use(replace(parts, writes_answers=False)):
        answer = ask(mia, "Summarise the manual")
    assert f"it has {count} sections. This summary covers the {MAX_SECTIONS} longest, 80%" in answer["answer"]
    assert f"{MAX_SECTIONS} longest, 80%" in answer["reason"]
    assert len(answer["citations"]) == MAX_SECTIONS


def test_comparison_has_a_column_for_each_side(
    mia: Caller, add: Callable[..., Document], parts: Engine
) -> None:
    add("Travel policy 2023", "The 2023 travel policy allows hotels for 100 euros a night.")
    add("Travel policy 2024", "The 2024 travel policy allows hotels for 120 euros a night.")
    with use(replace(parts, writes_answers=False)):
        answer = ask(mia, "Compare the 2023 and 2024 travel policy")
    assert (answer["intent"], answer["mode"], answer["verdict"]) == ("compare", "extractive", "partial")
    header, _, row = answer["answer"].splitlines()[:3]
    assert header == "| 2023 travel policy | 2024 travel policy |"
    left, right = row.strip("| ").split(" | ")
    assert "100 euros" in left
    assert "120 euros" in right
    assert "[1]" in left
    assert "[2]" in right


def test_versions_are_compared_by_topic(
    mia: Caller, add: Callable[..., Document], name_sections: Callable[..., None], parts: Engine
) -> None:
    """Sections match by heading, then by meaning, wherever they are; what is left has rows of its own."""
    old = add(
        "Reiserichtlinie 2023",
        "Hotels kosten 100 Euro pro Nacht.",
        "Das Tagegeld beträgt 24 Euro am Tag.",
        "Der Parkplatz am Flughafen wird bezahlt.",
    )
    new = add(
        "Reiserichtlinie 2024",
        "Das Tagegeld beträgt 28 Euro am Tag.",
        "Bahnfahrten werden im Portal gebucht.",
        "Hotels kosten 120 Euro pro Nacht.",
    )
    name_sections(old, "Hotels", "Tagegeld", "Parken")
    name_sections(new, "Verpflegung", "Bahn", "2. Hotels")
    with use(replace(parts, writes_answers=False)):
        answer = ask(mia, "Vergleiche die Reiserichtlinie 2023 mit 2024")
    header, _, *rows = answer["answer"].splitlines()
    assert header == "| Reiserichtlinie 2023 | Reiserichtlinie 2024 |"
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert [("100" in a, "120" in b) for a, b in cells] == [(True, True), *[(False, False)] * 3]
    assert [("24 Euro" in a, "28 Euro" in b) for a, b in cells][1] == (True, True)
    assert ("Parkplatz" in cells[2][0], cells[2][1]) == (True, "—")
    assert (cells[3][0], "Bahnfahrten" in cells[3][1]) == ("—", True)


def test_comparison_does_not_replace_a_missing_document(
    mia: Caller, add: Callable[..., Document], parts: Engine
) -> None:
    add("Salary bands 2023", "The salary bands of 2023 begin at 40,000 euros.")
    add("Salary bands 2024", "The salary bands of 2024 begin at 42,000 euros.")
    with use(replace(parts, writes_answers=False)):
        answer = ask(mia, "Compare salary bands 2023 with Fantasy bands 2024")
    assert "contain nothing about “Fantasy bands 2024”" in answer["answer"]
    assert "contain nothing" not in answer["reason"]
    assert "42,000" not in answer["answer"]


def test_comparison_names_the_missing_side(mia: Caller, add: Callable[..., Document], parts: Engine) -> None:
    add("Sick leave", "Sick leave is granted for six weeks.")
    with use(replace(parts, writes_answers=False)):
        answer = ask(mia, "What is the difference between sick leave and zeppelins?")
        assert "contain nothing about “zeppelins”" in answer["answer"]
        assert answer["verdict"] == "partial"
        neither = ask(mia, "What is the difference between submarines and zeppelins?")
    assert (neither["intent"], neither["verdict"]) == ("ask", "refused")
    assert GapQuestion.objects.count() == 1


def test_generated_comparison_is_checked(mia: Caller, add: Callable[..., Document], parts: Engine) -> None:
    add("Annual leave", "Annual leave lasts 25 days.")
    add("Sick leave", "Sick leave is granted for six weeks.")
    chat = FakeChat("Annual leave lasts 25 days [1].", "Sick leave is granted for nine weeks [1].")
    with use(replace(parts, chat=chat)):
        answer = ask(mia, "Compare annual leave with sick leave")
    assert (answer["intent"], answer["mode"]) == ("compare", "generated")
    assert "Annual leave lasts 25 days" in answer["answer"]
    assert "nine weeks" not in answer["answer"]
    assert "six weeks" in answer["answer"]


def test_stopped_summary_has_the_finished_sections(mia: Caller, policy: Document, parts: Engine) -> None:
    """Another process stops it: it looks at the row between two sections."""

    class Stopping(FakeChat):
        def stream(self, *args: Any, **options: Any) -> Iterator[str]:
            time.sleep(ask_service.STOP_CHECK_SECONDS + 0.1)
            Message.objects.running().update(state=MessageState.STOPPED)
            return super().stream(*args, **options)

    chat = Stopping("Employees book flights in the portal [1].")
    with use(replace(parts, chat=chat)):
        answer = ask(mia, "Summarise the travel policy")
    assert (answer["state"], answer["incomplete"]) == ("stopped", True)
    assert "**Receipts**" not in answer["answer"]
    assert len(chat.prompts) == 1
