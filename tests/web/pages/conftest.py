"""People who sign in with a browser, and what they may or may not see."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import InMemoryStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give
from cairn.accounts.models import User
from cairn.library.models import Chunk, Document, KnowledgeBase, VersionState
from cairn.library.rendition import Element, Rendition
from cairn.library.storage import rendition_save
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.conversations.services import conversation_start
from retrieval.models import Citation, Message
from tests.bases import make_base
from tests.principals import SETUP

_CSRF_TOKEN = re.compile(
    r'(?<=name="csrfmiddlewaretoken" value=")[^"]*|(?<=name="csrf-token" content=")[^"]*'
)
SENTENCE = "Full-time staff may give up to 40 hours a year."


@pytest.fixture(autouse=True)
def files_in_memory(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": f"{InMemoryStorage.__module__}.InMemoryStorage"},
    }


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def admin(make_user: Callable[..., User]) -> User:
    return make_user("ada", is_admin=True)


@pytest.fixture
def mia(make_user: Callable[..., User]) -> User:
    """Manages the knowledge base `base`."""
    return make_user("mia")


@pytest.fixture
def rob(make_user: Callable[..., User]) -> User:
    """A user without any grant."""
    return make_user("rob")


@pytest.fixture
def base(mia: User) -> KnowledgeBase:
    return make_base(name="Handbook", principal=principal_for_user(mia))


@pytest.fixture
def grant(base: KnowledgeBase) -> Callable[[User, Role], None]:
    def give(user: User, role: Role) -> None:
        grant_give(knowledge_base=base, subject=f"user:{user.id}", role=role, principal=SETUP)

    return give


@pytest.fixture
def document(base: KnowledgeBase, mia: User) -> Document:
    """Uploaded, not read yet."""
    file = SimpleUploadedFile("leave.md", SENTENCE.encode())
    principal = principal_for_user(mia)
    return document_submit(
        Upload(file, "leave.md", title="Leave rules"), knowledge_base=base, principal=principal
    ).document


@pytest.fixture
def ready(document: Document) -> Document:
    """Read and searchable, with one chunk."""
    version = document.latest_version
    assert version is not None
    element = Element(0, "NarrativeText", SENTENCE, ("Giving leave",))
    version.rendition = rendition_save(version.id, Rendition((element,)))
    version.state, version.chunk_count, version.media_type = VersionState.READY, 1, "text/markdown"
    version.save()
    Chunk.objects.create(
        id=version.id,
        version=version,
        ordinal=0,
        text=SENTENCE,
        section=["Giving leave"],
        tokens=9,
        sha256="0",
    )
    document.active_version = version
    document.save()
    return document


@pytest.fixture
def answered(ready: Document) -> Callable[..., Message]:
    """A question of someone, answered from `ready`."""

    version = ready.active_version_id
    assert version is not None

    def make(user: User, *, question: str = "How much may I give?", **fields: Any) -> Message:
        conversation = conversation_start(principal=principal_for_user(user), question=question)
        given = {"state": "done", "answer": "Up to 40 hours [1].", "verdict": "supported", **fields}
        message = Message.objects.create(conversation=conversation, question=question, **given)
        Citation.objects.create(
            message=message,
            marker=1,
            document=ready,
            version=version,
            chunk=version,
            title=ready.title,
            section=["Giving leave"],
            quote=SENTENCE,
        )
        return message

    return make


def text_of(response: Any) -> str:
    """Return the page with empty CSRF tokens, which are random and could spell any short word."""
    return _CSRF_TOKEN.sub("", str(response.content.decode()))
