from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import knowledge_base_create
from cairn.accounts.services import user_create
from cairn.library.models import KnowledgeBase
from cairn.settings import environment
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Submission, Upload
from tests.cairn.inference.server import FakeServer
from tests.models import Gate, model_server

Submit = Callable[..., Submission]


@pytest.fixture(autouse=True)
def _own_files(settings: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files")
    settings.STORAGES = {  # type: ignore[attr-defined]
        **settings.STORAGES,  # type: ignore[attr-defined]
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(folder)},
        },
    }


@pytest.fixture(scope="session")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="session")
def models(gate: Gate) -> Iterator[FakeServer]:
    """The models of installs that are killed and started again: they outlive them."""
    with model_server(gate) as server:
        yield server


def allow_watching(monkeypatch: pytest.MonkeyPatch, *roots: Path) -> None:
    allowed = environment().model_copy(update={"watch_roots": roots})
    monkeypatch.setattr("ingestion.watch_folders.filesystem.environment", lambda: allowed)


@pytest.fixture
def admin(db: None) -> Principal:
    return principal_for_user(user_create(username="root", is_admin=True))


@pytest.fixture
def base(admin: Principal) -> KnowledgeBase:
    return knowledge_base_create(name="Handbook", principal=admin)


@pytest.fixture
def submit(base: KnowledgeBase, admin: Principal) -> Submit:
    def _submit(text: str = "words", filename: str = "a.md", **options: object) -> Submission:
        target = {"knowledge_base": base, "principal": admin}
        target |= {name: options.pop(name) for name in (*target, "idempotency_key") if name in options}
        upload = Upload(ContentFile(text.encode(), name=filename), filename, **options)  # type: ignore[arg-type]
        return document_submit(upload, **target)  # type: ignore[arg-type]

    return _submit
