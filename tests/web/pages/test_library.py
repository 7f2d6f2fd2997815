"""The library: what is listed, for whom, and what may be done with it."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from ingestion.models import Job
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
Grant = Callable[[User, Role], None]


def test_unreadable_library_pages_are_not_found(signed_in: SignIn, rob: User, document: Document) -> None:
    client = signed_in(rob)
    absent = client.get("/library/no-such-shelf")
    assert absent.status_code == 404
    for path in ("/library/handbook", "/library/handbook/documents", f"/library/documents/{document.id}"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.content == absent.content
    assert "Handbook" not in text_of(client.get("/library"))


def test_readers_see_documents_without_edit_controls(
    signed_in: SignIn, rob: User, document: Document, grant: Grant
) -> None:
    grant(rob, Role.READER)
    html = text_of(signed_in(rob).get("/library/handbook"))
    assert "Leave rules" in html
    for control in ('id="drop"', "data-erase", "data-replace"):
        assert control not in html
    grant(rob, Role.EDITOR)
    html = text_of(signed_in(rob).get("/library/handbook"))
    for control in ('id="drop"', "data-erase", "data-replace"):
        assert control in html


def test_library_links_administration_only_for_managers(
    signed_in: SignIn, rob: User, mia: User, base: KnowledgeBase, grant: Grant
) -> None:
    grant(rob, Role.EDITOR)
    link = "/admin/knowledge-bases/handbook"
    assert link not in text_of(signed_in(rob).get("/library/handbook"))
    assert link in text_of(signed_in(mia).get("/library/handbook"))


def test_restricted_document_is_neither_listed_nor_counted(
    signed_in: SignIn, rob: User, document: Document, grant: Grant
) -> None:
    grant(rob, Role.READER)
    assert "1 document," in text_of(signed_in(rob).get("/library/handbook"))
    readers_replace(document=document, readers=[], actor=None)
    html = text_of(signed_in(rob).get("/library/handbook"))
    assert "0 documents," in html
    assert "Leave rules" not in html
    assert signed_in(rob).get(f"/library/documents/{document.id}").status_code == 404


@pytest.mark.parametrize(
    ("count", "english", "german"),
    [(200, "200 B", "200 B"), (2048, "2 KB", "2 KB"), (1536, "1.5 KB", "1,5 KB"),
     (200 << 20, "200 MB", "200 MB"), (3 << 39, "1,536 GB", "1.536 GB"), (0, "0 B", "0 B")],
)  # fmt: skip
def test_sizes_have_no_needless_digits(
    signed_in: SignIn, mia: User, ready: Document, count: int, english: str, german: str
) -> None:
    DocumentVersion.objects.filter(document=ready).update(size=count)
    for language, size in (("en", english), ("de", german)):
        page = signed_in(mia).get(f"/library/documents/{ready.id}", headers={"Accept-Language": language})
        assert f"<dd>{size}</dd>" in text_of(page)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, True),
        ({"q": "LEAVE"}, True),
        ({"q": "pay"}, False),
        ({"status": "queued"}, True),
        ({"status": "ready"}, False),
        ({"status": "nonsense"}, True),
        ({"q": "\0"}, True),
        ({"page": "2"}, False),
        ({"page": "-1"}, True),
        ({"page": "²"}, True),
    ],
)
def test_library_documents_are_filtered_by_text_and_status(
    signed_in: SignIn, mia: User, document: Document, asked: dict[str, str], found: bool
) -> None:
    response = signed_in(mia).get("/library/handbook/documents", asked)
    assert response.status_code == 200
    assert ("Leave rules" in text_of(response)) is found


def test_document_lists_are_paged(signed_in: SignIn, mia: User, document: Document) -> None:
    Document.objects.bulk_create(
        Document(knowledge_base=document.knowledge_base, source_key=f"{n}", title=f"Chapter {n}")
        for n in range(130)
    )
    first = text_of(signed_in(mia).get("/library/handbook/documents"))
    assert first.count("data-document=") == 100
    assert "documents?page=2" in first
    second = text_of(signed_in(mia).get("/library/handbook/documents", {"page": "2"}))
    assert second.count("data-document=") == 31
    assert "<table" not in second
    assert not set(re.findall(r'data-document="(.*?)"', first)) & set(
        re.findall(r'data-document="(.*?)"', second)
    )


def test_failed_document_shows_its_code_and_a_remedy(
    signed_in: SignIn, mia: User, document: Document
) -> None:
    job = Job.objects.get(version=document.latest_version)
    Job.objects.filter(pk=job.pk).update(stage="failed")
    DocumentVersion.objects.update(
        state="failed", error_code="no_text", error_message="There is no text in it."
    )
    for path in ("/library/handbook", f"/library/documents/{document.id}"):
        html = text_of(signed_in(mia).get(path))
        assert "no_text" in html
        assert "There is no text in it." in html
        assert f'data-retry-job="{job.id}"' in html


def test_running_job_is_followed(signed_in: SignIn, mia: User, document: Document) -> None:
    job = Job.objects.get(version=document.latest_version)
    followed = rf'data-job="{job.id}"\s+data-moving'
    assert re.search(followed, text_of(signed_in(mia).get("/library/handbook")))
    Job.objects.filter(pk=job.pk).update(stage="ready")
    assert not re.search(followed, text_of(signed_in(mia).get("/library/handbook")))


def test_pending_version_is_shown(signed_in: SignIn, mia: User, ready: Document) -> None:
    ready.latest_version = DocumentVersion.objects.create(
        document=ready,
        number=2,
        filename="leave.md",
        size=1,
        sha256="1",
        state="failed",
        error_message="Damaged.",
    )
    ready.save()
    html = text_of(signed_in(mia).get("/library/handbook"))
    assert "Version 2 failed; the previous version is still used. Damaged." in html
    assert "tag-ready" in html


def test_document_with_injected_instructions_is_flagged(
    signed_in: SignIn, mia: User, ready: Document
) -> None:
    told = "A text in section “Leave” looks like an instruction to a language model: “Ignore all previous”"
    client = signed_in(mia)
    words = "1 passage looks like instructions to a language model"
    assert words not in text_of(client.get("/library/handbook"))
    DocumentVersion.objects.update(report={"suspicious": [told]})
    assert words in text_of(client.get("/library/handbook"))
    assert told in text_of(client.get(f"/library/documents/{ready.id}"))
