"""Cairn's help in German: which pages are loaded, who reads them, and which questions they answer."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give, grants_replace
from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.services import knowledge_base_delete
from tests.installs import until
from tests.servers import Server, start_server, stop_server
from tests.web.test_end_to_end import Api
from web.data_dir.help_documents import DOCS, find_pages, sample_load

GERMAN_USERS = "Cairn-Hilfe"
GERMAN_ADMINS = "Cairn-Hilfe für Administratoren"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    pages = {
        "use/asking.md": "# Asking",
        "use/sharing.md": "# Sharing",
        "administer/access.md": "# Access",
        "operate/backups.md": "# Backups",
    }
    translations = {
        "README.md": "# Dokumentation",
        "use/asking.md": "# Fragen stellen",
        "administer/access.md": "# Zugriff",
    }
    for folder, texts in ((tmp_path, pages), (tmp_path / "de", translations)):
        for page, text in texts.items():
            (folder / page).parent.mkdir(parents=True, exist_ok=True)
            (folder / page).write_text(text)
    return tmp_path


@pytest.fixture
def admin(db: None) -> User:
    return user_create(username="admin", is_admin=True)


def pages_of(name: str) -> list[str]:
    rows = Document.objects.present().filter(knowledge_base__name=name)
    return sorted(rows.values_list("source_uri", flat=True))


def bases() -> list[str]:
    return sorted(KnowledgeBase.objects.present().values_list("name", flat=True))


def listed_for(user: User) -> list[str]:
    client = Client()
    client.force_login(user)
    return sorted(base["name"] for base in client.get("/api/v1/knowledge-bases").json()["items"])


def test_german_pages_have_their_own_knowledge_bases(docs: Path, admin: User) -> None:
    sample_load(docs)
    assert pages_of("Cairn help") == ["docs/use/asking.md", "docs/use/sharing.md"]
    assert pages_of(GERMAN_USERS) == ["docs/de/use/asking.md", "docs/de/use/sharing.md"]
    assert pages_of(GERMAN_ADMINS) == ["docs/de/administer/access.md"]
    assert pages_of("Cairn help for operators and developers") == ["docs/operate/backups.md"]
    languages = KnowledgeBase.objects.values_list("name", "help_for", "help_language")
    assert (GERMAN_ADMINS, "admins", "de") in languages
    assert ("Cairn help", "users", "en") in languages


def test_employees_only_get_the_help_for_users(docs: Path, admin: User) -> None:
    sample_load(docs)
    assert listed_for(user_create(username="rob")) == ["Cairn help", GERMAN_USERS]
    assert listed_for(admin) == bases()


def test_original_page_replaces_a_missing_translation(docs: Path, admin: User) -> None:
    sample_load(docs)
    page = Document.objects.get(source_uri="docs/de/use/sharing.md")
    assert page.latest_version is not None
    assert page.latest_version.size == len("# Sharing")
    (docs / "de" / "use" / "sharing.md").write_text("# Teilen, übersetzt")
    sample_load(docs)
    assert Document.objects.get(source_uri="docs/de/use/sharing.md") == page
    page.refresh_from_db()
    assert page.latest_version is not None
    assert (page.latest_version.number, page.latest_version.size) == (2, len("# Teilen, übersetzt".encode()))


def test_upgrade_adds_german_pages_for_readers_of_the_english_ones(docs: Path, admin: User) -> None:
    (docs / "de").rename(docs.parent / "translations")
    sample_load(docs)
    assert len(bases()) == 3
    principal = principal_for_user(admin)
    rob, eva = user_create(username="rob"), user_create(username="eva")
    users, admins = (KnowledgeBase.objects.get(help_for=each) for each in ("users", "admins"))
    grants_replace(knowledge_base=users, grants=[(f"user:{eva.id}", Role.EDITOR)], principal=principal)
    grant_give(knowledge_base=admins, subject=f"user:{eva.id}", role=Role.READER, principal=principal)
    before = set(Document.objects.values_list("id", flat=True))
    (docs.parent / "translations").rename(docs / "de")
    sample_load(docs)
    assert listed_for(rob) == []
    assert listed_for(eva) == ["Cairn help", "Cairn help for administrators", GERMAN_USERS, GERMAN_ADMINS]
    assert set(KnowledgeBase.objects.get(name=GERMAN_USERS).grants.values_list("user", "role")) == {
        (eva.id, Role.EDITOR)
    }
    assert before < set(Document.objects.present().values_list("id", flat=True))


def test_upgrade_marks_help_of_earlier_releases_as_english(docs: Path, admin: User) -> None:
    sample_load(docs)
    KnowledgeBase.objects.update(help_language="")
    for event in Event.objects.filter(action="sample.loaded"):
        assert event.detail["language"] in {"en", "de"}
    sample_load(docs)
    assert set(KnowledgeBase.objects.values_list("help_language", flat=True)) == {"en", "de"}
    assert len(bases()) == 5


def test_page_removed_from_docs_is_removed_in_both_languages(docs: Path, admin: User) -> None:
    sample_load(docs)
    (docs / "use" / "asking.md").unlink()
    sample_load(docs)
    assert pages_of("Cairn help") == ["docs/use/sharing.md"]
    assert pages_of(GERMAN_USERS) == ["docs/de/use/sharing.md"]


@pytest.mark.parametrize(
    ("deleted", "left"),
    [
        ("Cairn help for administrators", 3),  # with the help that it is the original of
        (GERMAN_USERS, 4),
    ],
)
def test_help_that_an_admin_deleted_stays_deleted(docs: Path, admin: User, deleted: str, left: int) -> None:
    (docs / "de" / "administer" / "access.md").rename(docs.parent / "access.md")
    sample_load(docs)
    base = KnowledgeBase.objects.get(name=deleted)
    knowledge_base_delete(knowledge_base=base, principal=principal_for_user(admin))
    (docs.parent / "access.md").rename(docs / "de" / "administer" / "access.md")
    for _ in range(2):
        sample_load(docs)
        assert deleted not in bases()
        assert len(bases()) == left


def test_help_has_each_page_once_per_language() -> None:
    uris = [page.source_uri for page in find_pages(DOCS)]
    assert len(uris) == len(set(uris))
    assert "docs/de/use/asking.md" in uris
    assert "docs/de/README.md" not in uris


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start_server(tmp_path_factory.mktemp("help") / "data")
    admin = Api(started)
    until(lambda: has_read_help_for_users(admin), patience=800)
    admin.ok("POST", "/users", json={"username": "eva"})
    admin.http.close()
    yield started
    stop_server(started)


def has_read_help_for_users(api: Api) -> bool:
    items = api.ok("GET", "/documents?limit=200")["items"]
    parts = ("docs/use/", "docs/de/use/")
    states = [each["status"] for each in items if each["source_uri"].startswith(parts)]
    return len(states) >= 14 and set(states) == {"ready"}


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("Wie lösche ich eine Unterhaltung?", "docs/de/use/conversations.md"),
        ("Was ist ein temporärer Chat?", "docs/de/use/conversations.md"),
        ("Wer kann meine Unterhaltungen sehen?", "docs/de/"),
        ("How do I delete a conversation?", "docs/use/conversations.md"),
    ],
)
def test_question_is_answered_from_pages_in_its_language(server: Server, question: str, page: str) -> None:
    """With the packaged models and the whole help, for an employee."""
    api = Api(server, "eva")
    answer = api.ok("POST", "/ask", json={"question": question})
    found = {each["source_uri"] for each in answer["citations"]}
    language = "docs/de/" if page.startswith("docs/de/") else "docs/"
    assert any(uri.startswith(page) for uri in found), json.dumps(answer)
    assert all(uri.startswith("docs/de/") is (language == "docs/de/") for uri in found)
    api.http.close()
