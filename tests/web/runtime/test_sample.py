from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from cairn.access.principals import principal_for_user
from cairn.access.services import knowledge_base_create
from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.library.models import Document, DocumentVersion, KnowledgeBase, VersionState
from ingestion.documents.services import knowledge_base_delete
from retrieval.models import Citation, Conversation, Message
from web.data_dir import help_documents
from web.data_dir.help_documents import sample_load, sample_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    for folder in ("use", "operate"):
        (tmp_path / folder).mkdir()
    (tmp_path / "use" / "asking.md").write_text("# Asking")
    (tmp_path / "operate" / "backups.md").write_text("# Backups")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    return tmp_path


@pytest.fixture
def admin(db: None) -> User:
    return user_create(username="admin", is_admin=True)


def uris() -> list[str]:
    return sorted(Document.objects.present().values_list("source_uri", flat=True))


def pages_of(name: str) -> list[str]:
    rows = Document.objects.present().filter(knowledge_base__name=name)
    return sorted(rows.values_list("source_uri", flat=True))


def load_as_one_base(docs: Path) -> KnowledgeBase:
    """Load the help as earlier releases did, which kept all pages in a single knowledge base."""
    sample_load(docs)
    base = KnowledgeBase.objects.get(slug="cairn-help")
    Document.objects.update(knowledge_base=base)
    KnowledgeBase.objects.exclude(pk=base.pk).delete()
    KnowledgeBase.objects.update(help_for="")
    with (
        connection.cursor() as cursor,
        without_triggers(),
    ):  # events cannot be changed through the model
        cursor.execute(
            "DELETE FROM audit_event WHERE action = 'sample.loaded' AND subject != %s", [f"kb:{base.pk}"]
        )
        cursor.execute("UPDATE audit_event SET detail = '{}' WHERE action = 'sample.loaded'")
    return base


@contextmanager
def without_triggers() -> Iterator[None]:
    """Switch off the triggers of PostgreSQL, which refuse to delete audit events."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_each_kind_of_reader_has_a_help_of_its_own(docs: Path, admin: User) -> None:
    (docs / "administer").mkdir()
    (docs / "administer" / "access.md").write_text("# Access")
    (docs / "get-started").mkdir()
    (docs / "get-started" / "faq.md").write_text("# Questions")
    sample_load(docs)
    assert pages_of("Cairn help") == ["docs/get-started/faq.md", "docs/use/asking.md"]
    assert pages_of("Cairn help for administrators") == ["docs/administer/access.md"]
    assert pages_of("Cairn help for operators and developers") == ["docs/operate/backups.md"]


def test_only_the_help_for_users_is_open_to_everyone(docs: Path, admin: User) -> None:
    sample_load(docs)
    rob = Client()
    rob.force_login(user_create(username="rob"))
    listed = rob.get("/api/v1/knowledge-bases").json()["items"]
    assert [base["name"] for base in listed] == ["Cairn help"]
    for document in Document.objects.all():
        status = rob.get(f"/api/v1/documents/{document.id}").status_code
        assert status == (200 if document.source_uri == "docs/use/asking.md" else 404)
    ada = Client()
    ada.force_login(admin)
    assert len(ada.get("/api/v1/knowledge-bases").json()["items"]) == 3


def test_upgrade_moves_pages_with_their_citations(docs: Path, admin: User) -> None:
    before = load_as_one_base(docs)
    page = Document.objects.get(source_uri="docs/operate/backups.md")
    asked = Conversation.objects.create(user=admin, title="Backups")
    message = Message.objects.create(conversation=asked, question="Where are backups?", answer="There [1].")
    Citation.objects.create(
        message=message, marker=1, document=page, version=page.latest_version.id, chunk=uuid4(), quote="There"
    )
    sample_load(docs)
    assert KnowledgeBase.objects.get(slug="cairn-help").id == before.id
    assert pages_of("Cairn help") == ["docs/use/asking.md"]
    assert pages_of("Cairn help for operators and developers") == ["docs/operate/backups.md"]
    assert message.citations.get().document == page
    page.refresh_from_db()
    assert page.latest_version.number == 2, "its passages have to name the new knowledge base"
    ada = Client()
    ada.force_login(admin)
    shown = ada.get(f"/api/v1/conversations/{asked.id}").json()["messages"]
    assert [each["document"] for each in shown[0]["citations"]] == [str(page.id)]


def test_interrupted_upgrade_is_resumed(docs: Path, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    load_as_one_base(docs)

    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(help_documents, "document_submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sample_load(docs)
    assert uris() == ["docs/operate/backups.md", "docs/use/asking.md"]
    for _ in range(2):
        sample_load(docs)
        assert KnowledgeBase.objects.count() == 3
        assert pages_of("Cairn help for operators and developers") == ["docs/operate/backups.md"]
        assert DocumentVersion.objects.count() == 3


def test_help_deleted_before_it_was_split_is_not_recreated(docs: Path, admin: User) -> None:
    base = load_as_one_base(docs)
    knowledge_base_delete(knowledge_base=base, principal=principal_for_user(admin))
    sample_load(docs)
    assert not KnowledgeBase.objects.present().exists()


def test_each_deleted_part_stays_deleted(docs: Path, admin: User) -> None:
    sample_load(docs)
    base = KnowledgeBase.objects.get(slug="cairn-help-for-operators-and-developers")
    knowledge_base_delete(knowledge_base=base, principal=principal_for_user(admin))
    sample_load(docs)
    assert uris() == ["docs/use/asking.md"]
    base = KnowledgeBase.objects.get(slug="cairn-help")
    knowledge_base_delete(knowledge_base=base, principal=principal_for_user(admin))
    sample_load(docs)
    assert uris() == []
    assert KnowledgeBase.objects.present().count() == 1


def test_everyone_may_read_the_help(docs: Path, admin: User) -> None:
    sample_load(docs)
    base = KnowledgeBase.objects.get(slug="cairn-help")
    assert base.name == "Cairn help"
    assert "everyone" in {grant.subject for grant in base.grants.all()}
    assert uris() == ["docs/operate/backups.md", "docs/use/asking.md"]


def test_pages_for_contributors_are_not_help(docs: Path, admin: User) -> None:
    (docs / "decisions").mkdir()
    (docs / "decisions" / "access.md").write_text("# Access\n\nWho may read what.")
    (docs / "evaluation.md").write_text("# Evaluation\n\nFor contributors and others: sets.")
    sample_load(docs)
    assert uris() == ["docs/operate/backups.md", "docs/use/asking.md"]


def test_only_changed_pages_are_read_again(docs: Path, admin: User) -> None:
    sample_load(docs)
    (docs / "use" / "asking.md").write_text("# Asking better")
    sample_load(docs)
    numbers = DocumentVersion.objects.values_list("document__source_uri", "number").order_by("number")
    assert list(numbers.filter(number__gt=1)) == [("docs/use/asking.md", 2)]


def test_page_removed_from_docs_is_removed_from_the_help(docs: Path, admin: User) -> None:
    sample_load(docs)
    (docs / "use" / "asking.md").unlink()
    sample_load(docs)
    assert uris() == ["docs/operate/backups.md"]


def test_document_added_by_a_person_is_preserved(docs: Path, admin: User) -> None:
    sample_load(docs)
    base = KnowledgeBase.objects.get(slug="cairn-help")
    Document.objects.create(knowledge_base=base, source_key="own.md", source_uri="own.md", title="Own")
    sample_load(docs)
    assert "own.md" in uris()


def test_added_document_named_like_a_page_is_preserved(docs: Path, admin: User) -> None:
    sample_load(docs)
    base = KnowledgeBase.objects.get(slug="cairn-help")
    Document.objects.create(
        knowledge_base=base, source_key="docs/own.md", source_uri="docs/own.md", title="Own"
    )
    (docs / "use" / "asking.md").unlink()
    sample_load(docs)
    assert uris() == ["docs/operate/backups.md", "docs/own.md"]
    assert sample_state().total == 1


def test_foreign_base_named_like_the_help_is_unchanged(docs: Path, admin: User) -> None:
    theirs = knowledge_base_create(name="Cairn help", principal=principal_for_user(admin))
    Document.objects.create(knowledge_base=theirs, source_key="docs/a.md", source_uri="docs/a.md", title="A")
    sample_load(docs)
    sample_load(docs)
    assert list(Document.objects.filter(knowledge_base=theirs).values_list("title", flat=True)) == ["A"]
    assert Document.objects.exclude(knowledge_base=theirs).count() == 2


def test_deleted_help_stays_deleted(docs: Path, admin: User) -> None:
    sample_load(docs)
    bases = list(KnowledgeBase.objects.all())
    for base in bases:
        knowledge_base_delete(knowledge_base=base, principal=principal_for_user(admin))
    sample_load(docs)
    assert uris() == []
    for base in bases:
        base.delete()  # as the erasure does
    sample_load(docs)
    assert not KnowledgeBase.objects.exists()


def test_removed_grants_of_the_help_are_not_restored(docs: Path, admin: User) -> None:
    sample_load(docs)
    KnowledgeBase.objects.get(slug="cairn-help").grants.all().delete()
    sample_load(docs)
    assert not KnowledgeBase.objects.get(slug="cairn-help").grants.exists()


def test_no_docs_no_knowledge_base(tmp_path: Path, admin: User) -> None:
    sample_load(tmp_path / "nowhere")
    assert not KnowledgeBase.objects.exists()


def test_sample_state_counts_the_latest_versions(docs: Path, admin: User) -> None:
    sample_load(docs)
    assert (sample_state().total, sample_state().settled) == (2, False)
    failed = Document.objects.get(source_uri="docs/use/asking.md").latest_version
    DocumentVersion.objects.update(state=VersionState.READY)
    DocumentVersion.objects.filter(pk=failed.pk).update(state=VersionState.FAILED, error_message="Empty.")
    state = sample_state()
    assert (state.ready, state.failed, state.settled) == (1, (("docs/use/asking.md", "Empty."),), True)


def test_foreign_base_named_like_the_sample_is_unchanged(docs: Path, admin: User) -> None:
    knowledge_base_create(name="Handbook", principal=principal_for_user(admin))
    sample_load(docs)
    assert KnowledgeBase.objects.count() == 4
