"""docs/ as the knowledge base "Cairn help": a new install can answer questions about itself."""

from dataclasses import dataclass, field
from pathlib import Path

from django.core.files.base import File

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import EVERYONE, grant_give, knowledge_base_create
from cairn.accounts.models import User
from cairn.audit.models import Event
from cairn.audit.services import record
from cairn.library.models import Document, DocumentQuerySet, KnowledgeBase, VersionState
from cairn.settings import ROOT
from ingestion.services import document_delete, document_submit

NAME, SLUG = "Cairn help", "cairn-help"
DOCS = ROOT / "docs"
PREFIX = "docs/"
_LOADED = "sample.loaded"


@dataclass(frozen=True, slots=True)
class SampleState:
    """`failed` holds source_uri and message."""

    total: int = 0
    ready: int = 0
    failed: tuple[tuple[str, str], ...] = field(default=())

    @property
    def settled(self) -> bool:
        return self.ready + len(self.failed) >= self.total


def sample_load(docs: Path = DOCS) -> None:
    """Brings the knowledge base up to what lies in docs/. One that an admin deleted stays deleted."""
    principal = _admin()
    base = _base(principal) if docs.is_dir() and principal else None
    if base is None or principal is None:
        return
    files = {PREFIX + path.relative_to(docs).as_posix(): path for path in sorted(docs.rglob("*.md"))}
    for source_uri, path in files.items():
        with path.open("rb") as stream:
            document_submit(
                knowledge_base=base,
                file=File(stream, name=path.name),
                filename=path.name,
                principal=principal,
                source_uri=source_uri,
            )
    for document in _documents().exclude(source_uri__in=files):
        document_delete(document=document, principal=principal)


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


def _documents() -> DocumentQuerySet:
    """Those that came from docs/, not what people added."""
    return Document.objects.present().filter(knowledge_base__slug=SLUG, source_uri__startswith=PREFIX)


def _admin() -> Principal | None:
    user = User.objects.filter(is_admin=True, is_active=True).first()
    return principal_for_user(user) if user else None


def _base(principal: Principal) -> KnowledgeBase | None:
    base = KnowledgeBase.objects.filter(slug=SLUG).first()
    if base is not None:
        return None if base.deleted_at else base
    if Event.objects.filter(action=_LOADED).exists():
        return None
    base = knowledge_base_create(
        name=NAME, principal=principal, description="How to use and run Cairn.", sensitivity="public"
    )
    grant_give(knowledge_base=base, subject=EVERYONE, role=Role.READER, principal=principal)
    record(_LOADED, actor=principal.actor, subject=f"kb:{base.id}")
    return base
