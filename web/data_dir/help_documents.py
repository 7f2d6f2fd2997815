"""Cairn's documentation as knowledge bases, one for each kind of reader, so that a new installation can
answer questions about itself.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

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
from cairn.library.models import Document, DocumentQuerySet, HelpAudience, KnowledgeBase, VersionState
from cairn.settings import ROOT
from ingestion.documents.services import document_delete
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.models import SampleDocument

DOCS = ROOT / "docs"
_LOADED = "sample.loaded"
_DECISIONS = "decisions"
_CONTRIBUTORS = "\n\nFor contributors "
"""How the first sentence of such a page begins: each page begins with whom it is for."""
_NAMES: Final = {
    HelpAudience.USERS: ("Cairn help", "How to use Cairn."),
    HelpAudience.ADMINS: ("Cairn help for administrators", "How to manage people, access and content."),
    HelpAudience.OPERATORS: (
        "Cairn help for operators and developers",
        "How to run Cairn and connect programs to it.",
    ),
}
_USER_PAGES: Final = ("use/", "get-started/faq.md")
_ADMIN_PAGES: Final = "administer/"


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
    """Synchronise the knowledge bases with docs/. Those that an admin deleted stay deleted."""
    principal = _admin()
    bases = _bases(principal) if docs.is_dir() and principal else {}
    if principal is None or not bases:
        return
    current = set[UUID]()
    for path in find_pages(docs):
        page = path.relative_to(docs).as_posix()
        base = bases.get(_audience_of(page))
        if base is not None:
            current.add(_submit(base, path, f"docs/{page}", principal))
    for document in _documents().exclude(pk__in=current):
        document_delete(document=document, principal=None)


def find_pages(docs: Path = DOCS) -> list[Path]:
    return [path for path in sorted(docs.rglob("*.md")) if not _is_for_contributors(path, docs)]


def _is_for_contributors(path: Path, docs: Path) -> bool:
    """Return whether a page only concerns people who change Cairn: others would get answers from it."""
    return path.is_relative_to(docs / _DECISIONS) or _CONTRIBUTORS in path.read_text(encoding="utf-8")


def _audience_of(page: str) -> HelpAudience:
    if page.startswith(_USER_PAGES):
        return HelpAudience.USERS
    return HelpAudience.ADMINS if page.startswith(_ADMIN_PAGES) else HelpAudience.OPERATORS


def _submit(base: KnowledgeBase, path: Path, source_uri: str, principal: Principal) -> UUID:
    """Submit a page and return its document."""
    with path.open("rb") as stream, transaction.atomic():
        moved = _move(base, source_uri, principal)
        upload = Upload(File(stream, name=path.name), path.name, source_uri=source_uri, always_new=moved)
        submission = document_submit(upload, knowledge_base=base, principal=principal)
        SampleDocument.objects.get_or_create(document=submission.document)
    return submission.document.id


def _move(base: KnowledgeBase, source_uri: str, principal: Principal) -> bool:
    """Move a page here that an earlier release loaded into another knowledge base of the help, and return
    whether there was one.

    The document stays the same, so that conversations keep their citations. Its passages in the index still
    name the other knowledge base: the caller replaces them with those of a new version.
    """
    present = Document.objects.filter(deleted_at=None)
    if present.filter(knowledge_base=base, source_key=source_uri).exists():
        return False
    pages = _documents().filter(source_key=source_uri).select_for_update(of=("self",))
    document = pages.first()
    if document is None:
        return False
    document.knowledge_base = base
    document.save(update_fields=["knowledge_base", "updated_at"])
    record(
        "document.changed",
        actor=principal.actor,
        subject=f"document:{document.id}",
        fields=["knowledge_base"],
    )
    return True


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
    """Return a page of the help, if it is loaded and `principal` may read it."""
    return _documents().filter(pk__in=documents_for(principal), source_uri=source_uri).first()


def _documents() -> DocumentQuerySet:
    """Return documents created by Cairn itself, not those added by people."""
    return Document.objects.present().filter(pk__in=SampleDocument.objects.values("document"))


def _admin() -> Principal | None:
    user = User.objects.active().filter(is_admin=True).first()
    return principal_for_user(user) if user else None


def _bases(principal: Principal) -> dict[HelpAudience, KnowledgeBase]:
    """Return the knowledge bases created for the help according to the audit log, not others of these names.

    Missing ones are created unless they were before. Whoever deleted the help when it was a single knowledge
    base gets no new ones.
    """
    loaded = {
        event.detail.get("audience", HelpAudience.USERS): event.subject.removeprefix("kb:")
        for event in Event.objects.filter(action=_LOADED).order_by("-id")
    }
    found = dict[HelpAudience, KnowledgeBase]()
    for audience in HelpAudience:
        if audience in loaded:
            base = KnowledgeBase.objects.present().filter(pk=loaded[audience]).first()
        elif audience == HelpAudience.USERS or HelpAudience.USERS in found:
            base = _create(audience, principal)
        else:
            base = None
        if base is not None:
            found[audience] = base
            KnowledgeBase.objects.filter(pk=base.pk, help_for="").update(help_for=audience)
    return found


def _create(audience: HelpAudience, principal: Principal) -> KnowledgeBase:
    """Create a knowledge base of the help. Only that for users is open to others than admins."""
    name, description = _NAMES[audience]
    with transaction.atomic():
        base = knowledge_base_create(
            name=name, principal=principal, description=description, sensitivity="public"
        )
        if audience == HelpAudience.USERS:
            grant_give(knowledge_base=base, subject=EVERYONE, role=Role.READER, principal=principal)
        record(_LOADED, actor=principal.actor, subject=f"kb:{base.id}", audience=audience)
    return base
