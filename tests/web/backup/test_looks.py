"""A backup copies the database again if files were deleted during the first pass."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DEFAULT_DB_ALIAS

from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from web.backup import create
from web.backup.manifest import FILES

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_files(settings: Any, tmp_path: Path) -> None:
    own = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "f"}}
    settings.STORAGES = {**settings.STORAGES, "default": own}


@pytest.fixture(autouse=True)
def tables_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the tests' own database, since nobody else writes here and tests can't open a copy."""
    monkeypatch.setattr(create, "snapshot", lambda _folder: nullcontext(DEFAULT_DB_ALIAS))


@pytest.fixture
def originals(
    make_user: Callable[..., User],
    principal_of: Callable[[User], Principal],
    make_knowledge_base: Callable[..., KnowledgeBase],
) -> list[str]:
    """Return the originals of two documents."""
    principal = principal_of(make_user("root", is_admin=True))
    base = make_knowledge_base("Handbook", principal)
    for text in ("one", "two"):
        file: ContentFile[bytes] = ContentFile(text.encode())
        document_submit(Upload(file, f"{text}.md"), knowledge_base=base, principal=principal)
    return [document.latest_version.original for document in Document.objects.order_by("title")]  # type: ignore[union-attr]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backup"
    made.mkdir()
    return made


def copied(folder: Path) -> set[str]:
    files = folder / FILES
    return {path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()}


def test_file_erased_during_a_backup_is_not_missing(originals: list[str], folder: Path) -> None:
    gone, kept = originals
    default_storage.delete(gone)  # an erasure begins with files and ends with rows
    lines: list[str] = []

    def say(text: str) -> None:
        lines.append(text)
        if "meanwhile" in text:
            Document.objects.filter(latest_version__original=gone).delete()

    look = create._consistent(folder, say)
    assert (look.missing, look.documents) == ([], 1)
    assert [text for text in lines if "meanwhile" in text] == ["1 changed meanwhile: look 2"]
    assert copied(folder) == look.names == {kept}


def test_file_copied_by_an_earlier_pass_but_no_longer_named_is_removed(
    originals: list[str], folder: Path
) -> None:
    gone, kept = originals
    with default_storage.open(kept) as file:
        content = file.read()
    default_storage.delete(kept)

    def say(text: str) -> None:
        if "meanwhile" in text:
            assert copied(folder) == {gone}
            Document.objects.filter(latest_version__original=gone).delete()
            default_storage.save(kept, ContentFile(content))

    look = create._consistent(folder, say)
    assert look.missing == []
    assert copied(folder) == look.names == {kept}


def test_missing_file_is_reported_after_retries(originals: list[str], folder: Path) -> None:
    default_storage.delete(originals[0])
    lines: list[str] = []
    look = create._consistent(folder, lines.append)
    assert look.missing == [originals[0]]
    assert lines.count("Database") == create.TRIES
    assert copied(folder) == {originals[1]}
