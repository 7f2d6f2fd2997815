"""Cairn's documentation as knowledge bases, one for each kind of reader and language, so that a new
installation can answer questions about itself.
"""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from django.core.files.base import File
from django.db import transaction

from cairn.access.models import Role
from cairn.access.permissions import documents_for
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import EVERYONE, grant_give, grants_replace, knowledge_base_create
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


class Part(NamedTuple):
    """A knowledge base of the help."""

    audience: HelpAudience
    language: str


@dataclass(frozen=True, slots=True)
class Page:
    path: Path
    source_uri: str
    part: Part


_ENGLISH: Final = "en"
_GERMAN: Final = "de"
_TRANSLATED: Final = frozenset({HelpAudience.USERS, HelpAudience.ADMINS})
"""Whose help is there in German. For others, German questions are answered from the English pages."""
_NAMES: Final = {
    Part(HelpAudience.USERS, _ENGLISH): ("Cairn help", "How to use Cairn."),
    Part(HelpAudience.ADMINS, _ENGLISH): (
        "Cairn help for administrators",
        "How to manage people, access and content.",
    ),
    Part(HelpAudience.OPERATORS, _ENGLISH): (
        "Cairn help for operators and developers",
        "How to run Cairn and connect programs to it.",
    ),
    Part(HelpAudience.USERS, _GERMAN): ("Cairn-Hilfe", "So nutzen Sie Cairn."),
    Part(HelpAudience.ADMINS, _GERMAN): (
        "Cairn-Hilfe für Administratoren",
        "So verwalten Sie Personen, Zugriff und Inhalte.",
    ),
}
loading = threading.Event()
"""Set from the start of this process until it has submitted the pages of the help."""
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
    pages = find_pages(docs) if docs.is_dir() else []
    bases = _bases(principal, {page.part for page in pages}) if docs.is_dir() and principal else {}
    if principal is None or not bases:
        return
    current = {_submit(bases[page.part], page, principal) for page in pages if page.part in bases}
    for document in _documents().exclude(pk__in=current):
        document_delete(document=document, principal=None)


def find_pages(docs: Path = DOCS) -> list[Page]:
    """Return the pages of the help: English ones, and translations for those who have any."""
    folder = docs / _GERMAN
    translated = {_audience_of(path, folder) for path in folder.rglob("*.md")} & _TRANSLATED
    found = list[Page]()
    for path in sorted(docs.rglob("*.md")):
        if not path.is_relative_to(folder) and not _is_for_contributors(path, docs):
            audience = _audience_of(path, docs)
            found.append(Page(path, _source_uri(path, docs), Part(audience, _ENGLISH)))
            if audience in translated:
                found.append(_find_translation(path, docs, audience))
    return found


def _find_translation(original: Path, docs: Path, audience: HelpAudience) -> Page:
    """Return the translation of a page. Until there is one, the original takes its place."""
    path = docs / _GERMAN / original.relative_to(docs)
    return Page(path if path.exists() else original, _source_uri(path, docs), Part(audience, _GERMAN))


def _source_uri(path: Path, docs: Path) -> str:
    return f"docs/{path.relative_to(docs).as_posix()}"


def _is_for_contributors(path: Path, docs: Path) -> bool:
    """Return whether a page only concerns people who change Cairn: others would get answers from it."""
    return path.is_relative_to(docs / _DECISIONS) or _CONTRIBUTORS in path.read_text(encoding="utf-8")


def _audience_of(path: Path, docs: Path) -> HelpAudience:
    page = path.relative_to(docs).as_posix()
    if page.startswith(_USER_PAGES):
        return HelpAudience.USERS
    return HelpAudience.ADMINS if page.startswith(_ADMIN_PAGES) else HelpAudience.OPERATORS


def _submit(base: KnowledgeBase, page: Page, principal: Principal) -> UUID:
    """Submit a page and return its document."""
    name, source_uri = page.path.name, page.source_uri
    with page.path.open("rb") as stream, transaction.atomic():
        moved = _move(base, source_uri, principal)
        upload = Upload(File(stream, name=name), name, source_uri=source_uri, always_new=moved)
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


def help_progress(principal: Principal) -> SampleState | None:
    """Return how many pages of the help for `principal` are ready, or None if no more will be."""
    pages = _documents().filter(pk__in=documents_for(principal))
    if pages.being_read().exists():
        return SampleState(pages.count(), pages.ready().count())
    is_expected = loading.is_set() and not pages.ready().exists() and not _is_deleted()
    return SampleState() if is_expected else None


def _is_deleted() -> bool:
    """Return whether an admin deleted the help: it isn't loaded again."""
    created = _find_created().values()
    return bool(created) and not KnowledgeBase.objects.present().filter(pk__in=created).exists()


def find_help_document(source_uri: str, principal: Principal) -> Document | None:
    """Return a page of the help, if it is loaded and `principal` may read it."""
    return _documents().filter(pk__in=documents_for(principal), source_uri=source_uri).first()


def _documents() -> DocumentQuerySet:
    """Return documents created by Cairn itself, not those added by people."""
    return Document.objects.present().filter(pk__in=SampleDocument.objects.values("document"))


def _admin() -> Principal | None:
    user = User.objects.active().filter(is_admin=True).first()
    return principal_for_user(user) if user else None


def _bases(principal: Principal, used: Collection[Part]) -> dict[Part, KnowledgeBase]:
    """Return the knowledge bases created for the help according to the audit log, not others of these names.

    Missing ones are created unless they were before. Whoever deleted the help when it was a single knowledge
    base gets no new ones. A translation needs a page, and the English original.
    """
    loaded = _find_created()
    found = dict[Part, KnowledgeBase]()
    for part in _NAMES:
        if part in loaded:
            base = KnowledgeBase.objects.present().filter(pk=loaded[part]).first()
        else:
            base = _create_missing(part, found, used, principal)
        if base is not None:
            found[part] = base
            rows = KnowledgeBase.objects.filter(pk=base.pk)
            rows.exclude(help_for=part.audience, help_language=part.language).update(
                help_for=part.audience, help_language=part.language
            )
    return found


def _find_created() -> dict[Part, str]:
    """Return the ids of the knowledge bases that were created. Earlier releases, which named no language,
    created English ones."""
    return {
        Part(
            HelpAudience(event.detail.get("audience", HelpAudience.USERS)),
            event.detail.get("language", _ENGLISH),
        ): event.subject.removeprefix("kb:")
        for event in Event.objects.filter(action=_LOADED).order_by("-id")
    }


def _create_missing(
    part: Part, found: Mapping[Part, KnowledgeBase], used: Collection[Part], principal: Principal
) -> KnowledgeBase | None:
    if part.language == _ENGLISH:
        is_first = part.audience == HelpAudience.USERS
        is_due = is_first or Part(HelpAudience.USERS, _ENGLISH) in found
        return _create(part, principal, None) if is_due else None
    original = found.get(Part(part.audience, _ENGLISH))
    return _create(part, principal, original) if original and part in used else None


def _create(part: Part, principal: Principal, original: KnowledgeBase | None) -> KnowledgeBase:
    """Create a knowledge base of the help. A translation gets the readers of the original; of the originals,
    only that for users is open to others than admins.
    """
    name, description = _NAMES[part]
    with transaction.atomic():
        base = knowledge_base_create(
            name=name, principal=principal, description=description, sensitivity="public"
        )
        if original is not None:
            grants = [(grant.subject, Role(grant.role)) for grant in original.grants.all()]
            grants_replace(knowledge_base=base, grants=grants, principal=principal)
        elif part.audience == HelpAudience.USERS:
            grant_give(knowledge_base=base, subject=EVERYONE, role=Role.READER, principal=principal)
        detail = {"audience": part.audience, "language": part.language}
        record(_LOADED, actor=principal.actor, subject=f"kb:{base.id}", **detail)
    return base
