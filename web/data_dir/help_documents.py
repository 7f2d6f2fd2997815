"""The knowledge base "Cairn help" from docs/, so that a new installation can answer questions about
itself.
"""

from dataclasses import dataclass, field
from pathlib import Path

from django.core.files.base import File
from django.db import transaction

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.rules import documents_for
from cairn.access.scope import Principal
from cairn.access.services import EVERYONE, grant_give, knowledge_base_create
from cairn.accounts.models import User
from cairn.audit.models import Event
from cairn.audit.services import record
from cairn.library.models import Document, DocumentQuerySet, KnowledgeBase, VersionState
from cairn.settings import ROOT
from ingestion.documents.services import document_delete
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.models import SampleDocument

NAME = "Cairn help"
DOCS = ROOT / "docs"
_LOADED = "sample.loaded"
_DECISIONS = "decisions"
_CONTRIBUTORS = "\n\nFor contributors "
"""How the first sentence of such a page begins: each page begins with whom it is for."""


@dataclass(frozen=True, slots=True)
class SampleState:
    """Processing state. `failed` has source_uri and message."""

    total: int = 0
    ready: int = 0
    failed: tuple[tuple[str, str], ...] = field(default=())

    @property
    def settled(self) -> bool:
        return self.ready + len(self.failed) >= self.total


def sample_load(docs: Path = DOCS) -> None:
    """Synchronise the knowledge base with docs/. If an admin deleted it, it stays deleted."""
    principal = _admin()
    base = _base(principal) if docs.is_dir() and principal else None
    if base is None or principal is None:
        return
    files = {f"docs/{path.relative_to(docs).as_posix()}": path for path in find_pages(docs)}
    for source_uri, path in files.items():
        _submit(base, path, source_uri, principal)
    for document in _documents().exclude(source_uri__in=files):
        document_delete(document=document, principal=None)


def find_pages(docs: Path = DOCS) -> list[Path]:
    return [path for path in sorted(docs.rglob("*.md")) if not _is_for_contributors(path, docs)]


def _is_for_contributors(path: Path, docs: Path) -> bool:
    """Return whether a page only concerns people who change Cairn: others would get answers from it."""
    return path.is_relative_to(docs / _DECISIONS) or _CONTRIBUTORS in path.read_text(encoding="utf-8")


def _submit(base: KnowledgeBase, path: Path, source_uri: str, principal: Principal) -> None:
    with path.open("rb") as stream, transaction.atomic():
        submission = document_submit(
            Upload(File(stream, name=path.name), path.name, source_uri=source_uri),
            knowledge_base=base,
            principal=principal,
        )
        SampleDocument.objects.get_or_create(document=submission.document)


def sample_state() -> SampleState:
    documents = list(_documents().with_versions())
    latest = [(document, document.latest_version) for document in documents]
    failed = tuple(
        (document.source_uri, version.error_message)
        for document, version in latest
        if version and version.state == VersionState.FAILED
    )
    ready = sum(1 for _, version in latest if version and version.state == VersionState.READY)
    return SampleState(len(documents), ready, failed)


def find_help_document(source_uri: str, principal: Principal) -> Document | None:
    """Return a page of the sample, if it is loaded and `principal` may read it."""
    return _documents().filter(pk__in=documents_for(principal), source_uri=source_uri).first()


def _documents() -> DocumentQuerySet:
    """Return documents created by Cairn itself, not those added by people."""
    return Document.objects.present().filter(pk__in=SampleDocument.objects.values("document"))


def _admin() -> Principal | None:
    user = User.objects.active().filter(is_admin=True).first()
    return principal_for_user(user) if user else None


def _base(principal: Principal) -> KnowledgeBase | None:
    """Return the knowledge base created for it according to the audit log, not another one of this name."""
    loaded = Event.objects.filter(action=_LOADED).order_by("id").first()
    if loaded is not None:
        return KnowledgeBase.objects.present().filter(pk=loaded.subject.removeprefix("kb:")).first()
    with transaction.atomic():
        base = knowledge_base_create(
            name=NAME, principal=principal, description="How to use and run Cairn.", sensitivity="public"
        )
        grant_give(knowledge_base=base, subject=EVERYONE, role=Role.READER, principal=principal)
        record(_LOADED, actor=principal.actor, subject=f"kb:{base.id}")
    return base
