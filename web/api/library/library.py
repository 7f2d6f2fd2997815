"""All documents the user may read, across knowledge bases."""

from typing import Any, Final, Literal

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.library.document_filters import DocumentFilter, Review, Sort, filter_documents
from cairn.library.models import Document as DocumentRow
from cairn.library.models import DocumentQuerySet
from web.api.framework.fields import Moment, parse_id_or_no_match, parse_knowledge_base_or_no_match
from web.api.framework.pagination import (
    Key,
    Page,
    PageQuery,
    Slice,
    keyset_page,
    read_id,
    read_moment,
    read_small,
    read_text,
)
from web.api.schemas import Document, annotate_documents
from web.http.authentication import needs, principal_of
from web.presentation.file_groups import Kind, media_types_of

router = Router(tags=["Documents"])
SEES_STATE = needs("search", "ingest", "manage")
_RANK = Key("rank", read_small, descending=True)
_CHANGED = Key("changed", read_moment, descending=True)
_NAME = Key("name", read_text)
_ID = Key("id", read_id)
ORDERS: Final = {
    Sort.RELEVANCE: (_RANK, _CHANGED, _ID),
    Sort.UPDATED: (_CHANGED, _ID),
    Sort.TITLE: (_NAME, _ID),
}


class LibraryQuery(PageQuery):
    """Filters, combined with AND."""

    q: str = Field("", max_length=200, description="Words in the title, source, file name or tags")
    knowledge_base: str = Field("", max_length=140)
    type: Kind | None = None
    owner: str = Field("", max_length=100, description="A user's id, or `me`")
    updated_after: Moment | None = Field(None, description="Only documents whose current version is newer")
    review: Review | None = Field(None, description="`due` within a month, `overdue`, or `unset`")
    status: Literal["queued", "processing", "ready", "failed"] | None = None
    tag: str = Field("", max_length=100)
    sort: Sort | None = Field(None, description="`relevance` if words are given, else `updated`")

    def document_filter(self, principal: Principal) -> DocumentFilter:
        owner = str(principal.user) if self.owner == "me" else self.owner
        return DocumentFilter(
            text=self.q,
            knowledge_base=parse_knowledge_base_or_no_match(principal, self.knowledge_base)
            if self.knowledge_base
            else None,
            media_types=media_types_of(self.type) if self.type else None,
            owner=parse_id_or_no_match(owner) if owner else None,
            updated_after=self.updated_after,
            review=self.review,
            status=self.status or "",
            tag=self.tag,
        )

    @property
    def order(self) -> Any:
        return ORDERS[self.sort or (Sort.RELEVANCE if self.q.split() else Sort.UPDATED)]


@router.get("", summary="Find documents in all knowledge bases", response=Page[Document], auth=SEES_STATE)
def documents_everywhere(request: HttpRequest, query: Query[LibraryQuery]) -> Page[Document]:
    """Lists all documents you may read, in every knowledge base."""
    principal = principal_of(request)
    page = library_page(principal, query)
    return Page(items=[Document.of(row, principal) for row in page.rows], next_cursor=page.next_cursor)


def library_rows(principal: Principal, query: LibraryQuery) -> DocumentQuerySet:
    return filter_documents(documents_for(principal), query.document_filter(principal))


def library_page(principal: Principal, query: LibraryQuery) -> Slice[DocumentRow]:
    return keyset_page(annotate_documents(library_rows(principal, query)), query, query.order)
