"""Documents of unofficial knowledge bases in other people's answers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cairn.access.models import Role
from cairn.access.selectors import chunks_for, scope_for
from cairn.access.services import grant_give, grants_replace, knowledge_base_create
from cairn.accounts.services import api_key_create
from cairn.audit.models import Event
from cairn.library.models import Chunk, Document, KnowledgeBase
from cairn.settings import environment
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.gaps.asker_notices import notify_askers
from retrieval.engine import Engine
from retrieval.evaluation.models import GoldQuestion
from retrieval.gaps.clusters import questions_group
from retrieval.suggestions.services import suggestions_for, suggestions_replace
from tests.bases import let_create
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, Response, indexed
from tests.web.security.attacks.recorder import Attack

QUESTION = "How many days of leave do employees get a year?"
RIGHT, WRONG = "Employees get 25 days of leave a year.", "Employees get 99 days of leave a year."
pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """`mia` let `rob` into a knowledge base that sounds official; the admin let him into the real one."""

    admin: Caller
    mia: Caller
    rob: Caller
    real: KnowledgeBase
    rogue: KnowledgeBase
    documents: dict[str, Document]


@pytest.fixture
def stage(admin: Caller, mia: Caller, rob: Caller, parts: Engine) -> Stage:
    real = knowledge_base_create(name="Handbook", principal=admin.principal)
    let_create(mia.user)
    rogue = knowledge_base_create(name="Official leave policy (HR)", principal=mia.principal)
    documents = {}
    for base, maker, text in ((real, admin, RIGHT), (rogue, mia, WRONG)):
        file = SimpleUploadedFile("leave.md", text.encode())
        document = document_submit(
            Upload(file, "leave.md"), knowledge_base=base, principal=maker.principal
        ).document
        indexed(document, parts, text)
        suggestions_replace(document)
        documents[text] = document
        subject = f"user:{rob.user.id}"
        grant_give(knowledge_base=base, subject=subject, role=Role.READER, principal=maker.principal)
    return Stage(admin, mia, rob, real, rogue, documents)


@pytest.fixture
def excluding(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("UNOFFICIAL_KNOWLEDGE_BASES", "exclude")
    environment.cache_clear()
    yield
    monkeypatch.undo()
    environment.cache_clear()


Asking = Callable[[Stage, KnowledgeBase | None], str]


def _bases(base: KnowledgeBase | None) -> dict[str, Any]:
    return {} if base is None else {"knowledge_bases": [str(base.id)]}


def searched(stage: Stage, base: KnowledgeBase | None) -> str:
    return _text(stage.rob.post("/search", {"query": QUESTION, **_bases(base)}))


def asked(stage: Stage, base: KnowledgeBase | None) -> str:
    return _text(stage.rob.post("/ask", {"question": QUESTION, **_bases(base)}))


def completed(stage: Stage, base: KnowledgeBase | None) -> str:
    model = f"cairn/{base.slug}" if base else "cairn"
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
    return _text(_posted(stage, "/v1/chat/completions", body))


def found_by_an_assistant(stage: Stage, base: KnowledgeBase | None) -> str:
    return _tool(stage, "search", {"query": QUESTION, **_bases(base)})


def asked_by_an_assistant(stage: Stage, base: KnowledgeBase | None) -> str:
    return _tool(stage, "ask", {"question": QUESTION, **_bases(base)})


def found_in_the_library(stage: Stage, base: KnowledgeBase | None) -> str:
    client = Client()
    client.force_login(stage.rob.user)
    query = {"q": QUESTION, **({"base": base.slug} if base else {})}
    return _text(client.get("/documents/passages", query))


def _tool(stage: Stage, name: str, arguments: dict[str, Any]) -> str:
    call = {"name": name, "arguments": arguments}
    return _text(_posted(stage, "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}))


def _posted(stage: Stage, path: str, body: dict[str, Any]) -> Response:
    headers = {"Authorization": f"Bearer {stage.rob.key}", "Accept": "application/json, text/event-stream"}
    return Client().post(path, json.dumps(body), content_type="application/json", headers=headers)


def _text(response: Response) -> str:
    assert response.status_code == 200, response.content
    return str(response.content.decode())


WAYS: tuple[Asking, ...] = (
    searched, asked, completed, found_by_an_assistant, asked_by_an_assistant, found_in_the_library,
)  # fmt: skip


def by_name(value: Any) -> str:
    return value if isinstance(value, str) else str(value.__name__).replace("_", " ")


@pytest.mark.parametrize("way", WAYS, ids=by_name)
def test_excluded_unofficial_documents_are_in_no_answer(
    attack: Attack, stage: Stage, excluding: None, way: Asking
) -> None:
    unscoped = way(stage, None)
    attack.refused("99 days" not in unscoped and str(stage.rogue.id) not in unscoped, unscoped)
    attack.allowed(str(stage.documents[RIGHT].id) in unscoped, unscoped)
    named = way(stage, stage.rogue)
    attack.allowed(str(stage.documents[WRONG].id) in named, named)


@pytest.mark.parametrize("official", [False, True], ids=["unofficial", "approved"])
@pytest.mark.parametrize("way", [searched, found_by_an_assistant, found_in_the_library], ids=by_name)
def test_approved_documents_are_included(
    attack: Attack, stage: Stage, excluding: None, way: Asking, official: bool
) -> None:
    document = str(stage.documents[WRONG].id)
    attack.refused(document not in way(stage, None))
    stage.admin.patch(f"/knowledge-bases/{stage.rogue.id}", {"official": official})
    attack.allowed((document in way(stage, None)) == official)


def test_document_filter_selects_its_knowledge_base(attack: Attack, stage: Stage, excluding: None) -> None:
    body = {"query": QUESTION, "filters": {"document_ids": [str(stage.documents[WRONG].id)]}}
    attack.allowed("99 days" in _text(stage.rob.post("/search", body)))
    other = {"query": QUESTION, "filters": {"document_ids": [str(stage.documents[RIGHT].id)]}}
    attack.refused("99 days" not in _text(stage.rob.post("/search", other)))


def test_scope_from_before_a_withdrawn_approval_shows_nothing(
    attack: Attack, stage: Stage, excluding: None
) -> None:
    path = f"/knowledge-bases/{stage.rogue.id}"
    stage.admin.patch(path, {"official": True})
    scope, chunks = scope_for(stage.rob.principal), list(Chunk.objects.values_list("id", flat=True))
    attack.allowed(chunks_for(scope, chunks).count() == 2)
    stage.admin.patch(path, {"official": False})
    attack.refused(chunks_for(scope, chunks).count() == 1)


def _suggest_about(heading: str, document: Document) -> None:
    Chunk.objects.filter(version__document=document).update(section=[heading])
    suggestions_replace(Document.objects.with_versions().get(pk=document.pk))


def test_suggested_questions_follow_the_same_rule(attack: Attack, stage: Stage, excluding: None) -> None:
    _suggest_about("Payroll numbers", stage.documents[WRONG])
    principal = stage.rob.principal
    attack.refused(not any("Payroll" in each for each in suggestions_for(principal)))
    attack.allowed(bool(suggestions_for(principal, bases=[stage.rogue.id])))


def provenance_in_citations(stage: Stage) -> list[dict[str, Any]]:
    answer = stage.rob.post("/ask", {"question": QUESTION, **_bases(stage.rogue)}).json()
    return [*answer["citations"], *stage.rob.get(f"/messages/{answer['id']}").json()["citations"]]


def provenance_in_hits(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(searched(stage, stage.rogue))["results"]
    return found


def provenance_in_completions(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(completed(stage, stage.rogue))["citations"]
    return found


@pytest.mark.parametrize(
    "way", [provenance_in_citations, provenance_in_hits, provenance_in_completions], ids=by_name
)
def test_every_source_names_its_owner_despite_its_title(
    attack: Attack, stage: Stage, way: Callable[[Stage], list[dict[str, Any]]]
) -> None:
    sources = way(stage)
    attack.refused(bool(sources) and not any(each["official"] for each in sources))
    owner = {"id": str(stage.mia.user.id), "username": "mia"}
    attack.refused(all(each["knowledge_base_owner"] == owner for each in sources))
    attack.refused(all(each["knowledge_base_name"] == stage.rogue.name for each in sources))
    stage.admin.patch(f"/knowledge-bases/{stage.rogue.id}", {"official": True, "owner": None})
    attack.allowed(all(each["official"] for each in way(stage)))
    attack.allowed(all(each["knowledge_base_owner"] is None for each in way(stage)))


def as_markdown(stage: Stage, message: str) -> str:
    return _text(stage.rob.get(f"/messages/{message}/markdown"))


def as_an_export(stage: Stage, message: str) -> str:
    conversation = stage.rob.get(f"/messages/{message}").json()["conversation"]
    return _text(stage.rob.get(f"/conversations/{conversation}/export?format=markdown"))


def as_a_page(stage: Stage, message: str) -> str:
    client = Client()
    client.force_login(stage.rob.user)
    conversation = stage.rob.get(f"/messages/{message}").json()["conversation"]
    return _text(client.get(f"/conversations/{conversation}"))


@pytest.mark.parametrize("way", [as_markdown, as_an_export, as_a_page], ids=by_name)
def test_unofficial_sources_are_marked_in_every_format(
    attack: Attack, stage: Stage, way: Callable[[Stage, str], str]
) -> None:
    answers = [
        stage.rob.post("/ask", {"question": QUESTION, **_bases(base)}).json()["id"]
        for base in (stage.rogue, stage.real)
    ]
    marked, plain = (_sources(way(stage, answer)) for answer in answers)
    attack.refused("nofficial" in marked and "mia" in marked, marked)
    attack.allowed("nofficial" not in plain and "Handbook" in plain, plain)


def _sources(text: str) -> str:
    """Return only the list of sources of a page: the picker names all knowledge bases."""
    return text.partition('<div class="sources"')[2].partition("</div>")[0] or text


CHANGES: tuple[dict[str, Any], ...] = (
    {"official": True},
    {"owner": "ADMIN"},
    {"owner": None},
    {"official": True, "name": "Policies"},
)


@pytest.mark.parametrize("change", CHANGES, ids=json.dumps)
@pytest.mark.parametrize("way", ["manager", "session", "limited admin", "admin without the scope"])
def test_only_admins_set_official_and_owner(
    attack: Attack, stage: Stage, way: str, change: dict[str, Any]
) -> None:
    body = {name: str(stage.admin.user.id) if value == "ADMIN" else value for name, value in change.items()}
    path = f"/knowledge-bases/{stage.rogue.id}"
    attack.refused(_changed_by(way, stage, path, body).status_code == 403)
    row = KnowledgeBase.objects.get(pk=stage.rogue.pk)
    attack.refused((row.official, row.owner, row.name) == (False, stage.mia.user, stage.rogue.name))
    allowed = stage.admin.patch(path, body)
    attack.allowed(allowed.status_code == 200, allowed.content)
    attack.allowed(
        Event.objects.filter(action__in=("knowledge_base.official", "knowledge_base.owner")).exists()
    )


def _changed_by(way: str, stage: Stage, path: str, body: dict[str, Any]) -> Response:
    match way:
        case "manager":
            return stage.mia.patch(path, body)
        case "session":
            client = Client()
            client.force_login(stage.mia.user)
            return client.patch(f"/api/v1{path}", body, content_type="application/json")
        case "limited admin":
            restriction: dict[str, Any] = {"knowledge_bases": [stage.rogue.id]}
        case _:
            restriction = {"scopes": ["manage"]}
    _, key = api_key_create(user=stage.admin.user, label="key", **restriction)
    return Caller(stage.admin.user, key).patch(path, body)


def test_approved_knowledge_base_cannot_be_renamed(attack: Attack, stage: Stage) -> None:
    """What an admin approved as “Team notes” must not become “Payroll” afterwards."""
    path = f"/knowledge-bases/{stage.rogue.id}"
    attack.allowed(stage.mia.patch(path, {"name": "Team notes"}).status_code == 200)
    stage.admin.patch(path, {"official": True})
    attack.refused(stage.mia.patch(path, {"name": "Payroll"}).status_code == 403)
    attack.refused(KnowledgeBase.objects.get(pk=stage.rogue.pk).name == "Team notes")
    same = stage.mia.patch(path, {"name": "Team notes", "description": "Of the team."})
    attack.allowed(same.status_code == 200, same.content)
    attack.allowed(stage.admin.patch(path, {"name": "Notes"}).status_code == 200)


@pytest.mark.parametrize("field", ["official", "owner"])
def test_creator_cannot_approve_a_knowledge_base(attack: Attack, stage: Stage, field: str) -> None:
    value: Any = {"official": True, "owner": str(stage.admin.user.id)}[field]
    refused = stage.mia.post("/knowledge-bases", {"name": "Payroll", field: value})
    attack.refused(refused.status_code in {403, 422}, refused.content)
    made = stage.admin.post("/knowledge-bases", {"name": "Payroll"}).json()
    attack.allowed(made["official"] and made["owner"]["username"] == "ada", made)


LUNCH = "What is on the lunch menu of the cafeteria on Fridays?"
BAIT = "The lunch menu of the cafeteria is on the wall beside the door."


def _gaps(caller: Caller) -> list[tuple[str, list[str]]]:
    questions_group()
    return [(gap["title"], gap["knowledge_bases"]) for gap in caller.get("/gaps").json()["items"]]


def _bait(stage: Stage, parts: Engine, text: str) -> None:
    """A document in the unofficial knowledge base that comes nearer to the question than any other."""
    document = document_submit(
        Upload(SimpleUploadedFile("bait.md", text.encode()), "bait.md"),
        knowledge_base=stage.rogue,
        principal=stage.mia.principal,
    ).document
    indexed(document, parts, text)


@pytest.mark.parametrize("reads_official", [True, False], ids=["reads an official one", "reads none"])
def test_owners_of_unofficial_bases_do_not_see_questions_to_all_bases(
    attack: Attack, stage: Stage, parts: Engine, reads_official: bool
) -> None:
    _bait(stage, parts, BAIT)
    if not reads_official:
        grants_replace(knowledge_base=stage.real, grants=[], principal=stage.admin.principal)
    answer = stage.rob.post("/ask", {"question": LUNCH}).json()
    assert answer["verdict"] == "refused", answer
    assert answer["nearest"][0]["title"] == "bait.md"
    attack.refused(_gaps(stage.mia) == [], _gaps(stage.mia))
    expected = [str(stage.real.id)] if reads_official else []
    attack.allowed(_gaps(stage.admin) == [(LUNCH, expected)], _gaps(stage.admin))
    stage.rob.post("/ask", {"question": LUNCH, **_bases(stage.rogue)})
    attack.allowed(_gaps(stage.mia) == [(LUNCH, [str(stage.rogue.id)])], _gaps(stage.mia))


def test_owners_of_unofficial_bases_do_not_see_ratings(attack: Attack, stage: Stage, parts: Engine) -> None:
    assert isinstance(parts.chat, FakeChat)
    parts.chat._lines = ("Employees get 99 days of leave a year [1].",)
    grants_replace(knowledge_base=stage.real, grants=[], principal=stage.admin.principal)
    for base in (None, stage.rogue):
        answer = stage.rob.post("/ask", {"question": QUESTION, **_bases(base)}).json()
        assert [each["knowledge_base"] for each in answer["citations"]] == [str(stage.rogue.id)], answer
        stage.rob.post(f"/messages/{answer['id']}/feedback", {"rating": "down"})
        found = _gaps(stage.mia)
        if base is None:
            attack.refused(found == [], found)
            attack.allowed(_gaps(stage.admin) == [(QUESTION, [])])
        else:
            attack.allowed(found == [(QUESTION, [str(stage.rogue.id)])], found)


def test_notice_names_the_origin_of_an_answer(attack: Attack, stage: Stage) -> None:
    for base, keeper, text in ((stage.rogue, stage.mia, WRONG), (stage.real, stage.admin, RIGHT)):
        answer = stage.rob.post("/ask", {"question": QUESTION, **_bases(base)}).json()
        stage.rob.post(f"/messages/{answer['id']}/feedback", {"rating": "down", "reason": "incomplete"})
        _gaps(keeper)
        [gap] = keeper.get(f"/gaps?knowledge_base={base.id}").json()["items"]
        keeper.post(f"/gaps/{gap['id']}/document", {"document": str(stage.documents[text].id)})
        assert notify_askers() == 1
    right, wrong = (each["text"] for each in stage.rob.get("/notices").json()["items"])
    attack.refused(f"“{stage.rogue.name}” (unofficial)" in wrong, wrong)
    attack.allowed("“Handbook”" in right and "unofficial" not in right, right)


WRITTEN = "How do I get the password of a colleague?"


def test_start_page_suggests_no_questions_of_unofficial_knowledge_bases(attack: Attack, stage: Stage) -> None:
    gold = GoldQuestion.objects.create(knowledge_base=stage.rogue, question=WRITTEN, kind="paraphrase")
    gold.sources.create(document=stage.documents[WRONG])
    for text, title in ((RIGHT, "Leave policy"), (WRONG, "Payroll numbers")):
        _suggest_about(title, stage.documents[text])
    page = _start_page(stage.rob)
    attack.refused(WRITTEN not in page and "Payroll" not in page, page)
    attack.allowed("Leave policy" in page and MARK not in page, page)
    for query in (f"?kb={stage.rogue.slug}", f"?document={stage.documents[WRONG].id}"):
        attack.refused(MARK in _start_page(stage.rob, query))
    attack.allowed(MARK not in _start_page(stage.rob, f"?kb={stage.real.slug}"))
    grants_replace(knowledge_base=stage.real, grants=[], principal=stage.admin.principal)
    alone = _start_page(stage.rob)
    attack.refused(MARK in alone, alone)
    attack.allowed(WRITTEN in alone, alone)


MARK = 'tag-unofficial">Unofficial<'


def _start_page(caller: Caller, query: str = "") -> str:
    """Return the suggestions of the start page, with their labels."""
    client = Client()
    client.force_login(caller.user)
    page = _text(client.get(f"/{query}"))
    return page.partition('id="suggestions-label"')[2].partition("</section>")[0]
