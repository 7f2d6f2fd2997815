"""Documents of a source that people without permission ask for, and must not find."""

import random
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from cairn.access.models import ArtifactKind, CheckArtifact, Role
from cairn.access.permissions import documents_for, role_in
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.selectors import reading_scope_for
from cairn.accounts.models import User
from cairn.library.models import Chunk, Document
from retrieval.search.hybrid_search import search

DOCUMENTS: Final = 10
PEOPLE_EACH: Final = 2
TRIED: Final = 20
TOP: Final = 50
CHARACTERS: Final = 300


def find_leaked_documents(allowed: Mapping[UUID, frozenset[UUID]]) -> tuple[int, set[UUID]]:
    """Ask for documents as people whom the source doesn't allow to read them, those with few readers first.

    A document counts only if somebody who may read it finds it with the same words. Returns how many counted,
    and those that somebody else found or could open.
    """
    asked, leaked = 0, set[UUID]()
    for document in _list_documents(allowed):
        text = Chunk.objects.filter(version=document.active_version).values_list("text", flat=True).first()
        readers = User.objects.active().filter(pk__in=allowed[document.id])
        others = _list_others(document, allowed[document.id])
        if not text or not others or not any(_finds(each, document, text) for each in _principals(readers)):
            continue
        asked += 1
        if any(_finds(each, document, text) or _opens(each, document) for each in others):
            leaked.add(document.id)
    return asked, leaked


def _list_documents(allowed: Mapping[UUID, frozenset[UUID]]) -> list[Document]:
    few = sorted((each for each, readers in allowed.items() if readers), key=lambda each: len(allowed[each]))
    ready = Document.objects.present().ready().filter(pk__in=few)
    found = {row.pk: row for row in ready.select_related("knowledge_base", "active_version")}
    return [found[each] for each in few if each in found][:DOCUMENTS]


def _list_others(document: Document, allowed: frozenset[UUID]) -> list[Principal]:
    """Return people who may not read the document and don't manage it."""
    made_up = CheckArtifact.objects.ids(ArtifactKind.USER)
    strangers = User.objects.active().exclude(pk__in=allowed).exclude(pk__in=made_up).exclude(is_admin=True)
    tried = _principals(strangers.order_by("?"))
    managers = [each for each in tried if role_in(each, document.knowledge_base) == Role.MANAGER]
    others = [each for each in tried if each not in managers]
    random.shuffle(others)
    others.sort(key=lambda each: role_in(each, document.knowledge_base) is None)
    return others[:PEOPLE_EACH]


def _principals(users: "QuerySet[User]") -> list[Principal]:
    return [principal_for_user(each) for each in users[:TRIED]]


def _finds(principal: Principal, document: Document, text: str) -> bool:
    hits = search(text[:CHARACTERS], scope=reading_scope_for(principal), limit=TOP)
    return any(hit.document == document.id for hit in hits)


def _opens(principal: Principal, document: Document) -> bool:
    return documents_for(principal).filter(pk=document.pk).exists()
