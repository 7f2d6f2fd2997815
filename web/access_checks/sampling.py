"""Spot checks: searches for real documents as people without access, to verify the index's fields."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from cairn.access.audience import people_reading
from cairn.access.models import ArtifactKind, CheckArtifact
from cairn.access.principals import principal_for_user
from cairn.access.selectors import reading_scope_for
from cairn.accounts.models import User
from cairn.library.models import Chunk, Document
from retrieval.search.hybrid_search import search
from web.access_checks.canary_check import Leak, Outcome

DOCUMENTS: Final = 40
PEOPLE_EACH: Final = 2
TOP: Final = 50
CHARACTERS: Final = 300


def check_spots() -> Outcome:
    """Check random documents, so that most are covered after some nights. Nothing is stored."""
    outcome = Outcome(0, [])
    for document in _documents():
        text = Chunk.objects.filter(version=document.active_version).values_list("text", flat=True).first()
        for person in _who_may_not(document) if text and text.strip() else ():
            outcome.probes += 1
            if document.id in _find_documents(person, text or ""):
                outcome.leaks.append(Leak("a user", "search for a real document", f"document {document.id}"))
    return outcome


def _documents() -> Iterator[Document]:
    made_up = CheckArtifact.objects.ids(ArtifactKind.KNOWLEDGE_BASE)
    ready = Document.objects.present().ready().exclude(knowledge_base__in=made_up)
    yield from ready.select_related("knowledge_base", "active_version").order_by("?")[:DOCUMENTS]


def _who_may_not(document: Document) -> list[User]:
    others = User.objects.active().exclude(pk__in=people_reading(document).values("pk"))
    made_up = CheckArtifact.objects.ids(ArtifactKind.USER)
    return list(others.exclude(pk__in=made_up).order_by("?")[:PEOPLE_EACH])


def _find_documents(person: User, text: str) -> set[UUID]:
    scope = reading_scope_for(principal_for_user(person))
    return {hit.document for hit in search(text[:CHARACTERS], scope=scope, limit=TOP)}
