from pathlib import Path

import pytest

from cairn.access.principals import principal_for_user
from cairn.access.services import knowledge_base_create
from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.library.models import Document, DocumentVersion, KnowledgeBase, VersionState
from ingestion.documents.services import knowledge_base_delete
from web.data_dir.help_documents import sample_load, sample_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "operate").mkdir()
    (tmp_path / "asking.md").write_text("# Asking")
    (tmp_path / "operate" / "backups.md").write_text("# Backups")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    return tmp_path


@pytest.fixture
def admin(db: None) -> User:
    return user_create(username="admin", is_admin=True)


def uris() -> list[str]:
    return sorted(Document.objects.present().values_list("source_uri", flat=True))


def test_everyone_may_read_the_help(docs: Path, admin: User) -> None:
    sample_load(docs)
    base = KnowledgeBase.objects.get(slug="cairn-help")
    assert base.name == "Cairn help"
    assert "everyone" in {grant.subject for grant in base.grants.all()}
    assert uris() == ["docs/asking.md", "docs/operate/backups.md"]


def test_pages_for_contributors_are_no_help(docs: Path, admin: User) -> None:
    (docs / "decisions").mkdir()
    (docs / "decisions" / "access.md").write_text("# Access\n\nWho may read what.")
    (docs / "evaluation.md").write_text("# Evaluation\n\nFor contributors and others: sets.")
    sample_load(docs)
    assert uris() == ["docs/asking.md", "docs/operate/backups.md"]


def test_only_what_changed_is_read_again(docs: Path, admin: User) -> None:
    sample_load(docs)
    (docs / "asking.md").write_text("# Asking better")
    sample_load(docs)
    numbers = DocumentVersion.objects.values_list("document__source_uri", "number").order_by("number")
    assert list(numbers.filter(number__gt=1)) == [("docs/asking.md", 2)]


def test_what_left_docs_leaves_the_knowledge_base(docs: Path, admin: User) -> None:
    sample_load(docs)
    (docs / "asking.md").unlink()
    sample_load(docs)
    assert uris() == ["docs/operate/backups.md"]


def test_what_people_added_stays(docs: Path, admin: User) -> None:
    sample_load(docs)
    base = KnowledgeBase.objects.get(slug="cairn-help")
    Document.objects.create(knowledge_base=base, source_key="own.md", source_uri="own.md", title="Own")
    sample_load(docs)
    assert "own.md" in uris()


def test_what_people_added_stays_whatever_it_is_called(docs: Path, admin: User) -> None:
    sample_load(docs)
    base = KnowledgeBase.objects.get(slug="cairn-help")
    Document.objects.create(
        knowledge_base=base, source_key="docs/own.md", source_uri="docs/own.md", title="Own"
    )
    (docs / "asking.md").unlink()
    sample_load(docs)
    assert uris() == ["docs/operate/backups.md", "docs/own.md"]
    assert sample_state().total == 1


def test_a_base_that_somebody_named_like_the_help_is_left_alone(docs: Path, admin: User) -> None:
    theirs = knowledge_base_create(name="Cairn help", principal=principal_for_user(admin))
    Document.objects.create(knowledge_base=theirs, source_key="docs/a.md", source_uri="docs/a.md", title="A")
    sample_load(docs)
    sample_load(docs)
    assert list(Document.objects.filter(knowledge_base=theirs).values_list("title", flat=True)) == ["A"]
    assert Document.objects.exclude(knowledge_base=theirs).count() == 2


def test_a_deleted_help_stays_deleted(docs: Path, admin: User) -> None:
    sample_load(docs)
    base = KnowledgeBase.objects.get(slug="cairn-help")
    knowledge_base_delete(knowledge_base=base, principal=principal_for_user(admin))
    sample_load(docs)
    assert uris() == []
    base.delete()  # as the erasure does
    sample_load(docs)
    assert not KnowledgeBase.objects.exists()


def test_grants_that_were_taken_stay_taken(docs: Path, admin: User) -> None:
    sample_load(docs)
    KnowledgeBase.objects.get(slug="cairn-help").grants.all().delete()
    sample_load(docs)
    assert not KnowledgeBase.objects.get(slug="cairn-help").grants.exists()


def test_no_docs_no_knowledge_base(tmp_path: Path, admin: User) -> None:
    sample_load(tmp_path / "nowhere")
    assert not KnowledgeBase.objects.exists()


def test_its_state_speaks_of_the_latest_versions(docs: Path, admin: User) -> None:
    sample_load(docs)
    assert (sample_state().total, sample_state().settled) == (2, False)
    failed = Document.objects.get(source_uri="docs/asking.md").latest_version
    DocumentVersion.objects.update(state=VersionState.READY)
    DocumentVersion.objects.filter(pk=failed.pk).update(state=VersionState.FAILED, error_message="Empty.")
    state = sample_state()
    assert (state.ready, state.failed, state.settled) == (1, (("docs/asking.md", "Empty."),), True)


def test_a_knowledge_base_of_that_name_but_not_ours_is_left_alone(docs: Path, admin: User) -> None:
    knowledge_base_create(name="Handbook", principal=principal_for_user(admin))
    sample_load(docs)
    assert KnowledgeBase.objects.count() == 2
