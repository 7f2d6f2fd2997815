"""Access explanations and previews for managers: who may read a resource, why, and effects of changes."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from ninja import Body as JsonBody
from ninja import Query, Router
from pydantic import BaseModel, Field

from cairn.access import audience
from cairn.access.audience import Access, DocumentAccess, Restriction, access_of, document_access_of
from cairn.access.models import Role
from cairn.access.preview import AccessChange, preview_grants, preview_readers
from cairn.access.preview import AccessPreview as EffectRow
from cairn.access.selectors import document_for, get_or_not_found, knowledge_base_for
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from web.api.framework.fields import Body, Subjects
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.knowledge_bases import NewGrants
from web.http.authentication import needs, principal_of

in_knowledge_base = Router(tags=["Access"], auth=needs("manage"))
of_document = Router(tags=["Access"], auth=needs("manage"))
PREVIEWS = needs("manage", reads=True)
NAMED_AT_MOST = 100


class PeopleQuery(PageQuery):
    q: str = Field("", max_length=150, description="Part of a user name")


class Way(BaseModel):
    """A way to get access. `subject` as in grants, or `admin`: admins manage every knowledge base."""

    subject: str
    name: str
    role: Role


class Person(BaseModel):
    """`role` is the highest role from all ways to get access; null if there is none."""

    id: str
    username: str
    is_active: bool
    may_read: bool
    role: Role | None
    via: list[Way]

    @classmethod
    def of(cls, access: Access) -> "Person":
        return cls(may_read=access.is_active and access.role is not None, **_person(access))


class Narrowing(BaseModel):
    """`passes`: what gives the person access: readers' names, `manager` or `admin`. Empty if they have
    none.

    `synced`: the source of the document decides; `passes` then has names from there, and `refusal` says why
    the source doesn't let the person read.
    """

    document: str
    title: str
    passes: list[str]
    synced: bool
    refusal: str

    @classmethod
    def of(cls, found: Restriction) -> "Narrowing":
        return cls(
            document=str(found.document),
            title=found.title,
            passes=list(found.passes),
            synced=found.is_synced,
            refusal=found.refusal,
        )


class Reader(Person):
    """`narrowed`: the document and its containers, if they are restricted to certain readers."""

    narrowed: list[Narrowing]

    @classmethod
    def of_document(cls, found: DocumentAccess) -> "Reader":
        narrowed = [Narrowing.of(each) for each in found.restrictions]
        return cls(may_read=found.may_read, narrowed=narrowed, **_person(found.access))


class Changed(BaseModel):
    id: str
    username: str
    label: str = Field(description="The display name, if there is one, and the user name")
    before: Role | None
    after: Role | None

    @classmethod
    def of(cls, change: AccessChange) -> "Changed":
        return cls(
            id=str(change.user),
            username=change.username,
            label=change.label,
            before=change.before,
            after=change.after,
        )


class Some(BaseModel):
    """The first hundred `people`, by name, of `count`."""

    count: int
    people: list[Changed]

    @classmethod
    def of(cls, changes: Sequence[AccessChange]) -> "Some":
        return cls(count=len(changes), people=[Changed.of(change) for change in changes[:NAMED_AT_MOST]])


class Effect(BaseModel):
    """Effects on people. `changes`: people who get another role. Admins are not included."""

    gains: Some
    losses: Some
    changes: Some

    @classmethod
    def of(cls, effect: EffectRow) -> "Effect":
        return cls(
            gains=Some.of(effect.gains), losses=Some.of(effect.losses), changes=Some.of(effect.changes)
        )


class NewReaders(Body):
    """Readers as in `PATCH` of the document. Null or `everyone`: all who may read the knowledge base."""

    readers: Subjects | None


@in_knowledge_base.get(
    "/{knowledge_base_id}/people",
    summary="List people with access to a knowledge base",
    response=Page[Person],
)
def people_list(request: HttpRequest, knowledge_base_id: str, page: Query[PeopleQuery]) -> Page[Person]:
    """Requires the role manager. Lists active people with access, and how they get it."""
    base = _get_managed_base(request, knowledge_base_id)
    found = page_of(audience.people_in(base).filter(username__icontains=page.q), page)
    items = [Person.of(access) for access in access_of(found.rows, base)]
    return Page(items=items, next_cursor=found.next_cursor)


@in_knowledge_base.get(
    "/{knowledge_base_id}/people/{user_id}",
    summary="Explain a person’s access to a knowledge base",
    response=Person,
)
def person_get(request: HttpRequest, knowledge_base_id: str, user_id: str) -> Person:
    """Requires the role manager. Explains how this person gets access, or that they have none."""
    base = _get_managed_base(request, knowledge_base_id)
    return Person.of(access_of([get_or_not_found(User.objects.all(), user_id)], base)[0])


@in_knowledge_base.post(
    "/{knowledge_base_id}/grants/effect",
    summary="Preview a change of access",
    response=Effect,
    auth=PREVIEWS,
    operation_id="grants_foretell",
)
def grants_preview(request: HttpRequest, knowledge_base_id: str, payload: JsonBody[NewGrants]) -> Effect:
    """Requires the role manager. Previews the effects of these grants on people; changes nothing."""
    base = _get_managed_base(request, knowledge_base_id)
    requested = [(grant.subject, grant.role) for grant in payload]
    return Effect.of(preview_grants(base, requested, principal=principal_of(request)))


@of_document.get(
    "/{document_id}/people", summary="List people who can read a document", response=Page[Reader]
)
def reader_list(request: HttpRequest, document_id: str, page: Query[PeopleQuery]) -> Page[Reader]:
    """Requires the role manager. Lists active people with access, and how they get it."""
    document = _document(request, document_id)
    found = page_of(audience.people_reading(document).filter(username__icontains=page.q), page)
    items = [Reader.of_document(each) for each in document_access_of(found.rows, document)]
    return Page(items=items, next_cursor=found.next_cursor)


@of_document.get(
    "/{document_id}/people/{user_id}", summary="Explain a person’s access to a document", response=Reader
)
def reader_get(request: HttpRequest, document_id: str, user_id: str) -> Reader:
    """Requires the role manager. Explains how this person gets access, or what excludes them."""
    document = _document(request, document_id)
    return Reader.of_document(
        document_access_of([get_or_not_found(User.objects.all(), user_id)], document)[0]
    )


@of_document.post(
    "/{document_id}/readers/effect",
    summary="Preview a change of readers",
    response=Effect,
    auth=PREVIEWS,
    operation_id="readers_foretell",
)
def readers_preview(request: HttpRequest, document_id: str, payload: NewReaders) -> Effect:
    """Requires the role manager. Previews the effects of restricting the document; changes nothing."""
    document = _document(request, document_id)
    return Effect.of(preview_readers(document, ["everyone"] if payload.readers is None else payload.readers))


def _get_managed_base(request: HttpRequest, value: str) -> KnowledgeBase:
    return knowledge_base_for(principal_of(request), value, role=Role.MANAGER)


def _document(request: HttpRequest, value: str) -> Document:
    return document_for(principal_of(request), value, role=Role.MANAGER)


def _person(access: Access) -> dict[str, Any]:
    return {
        "id": str(access.user),
        "username": access.username,
        "is_active": access.is_active,
        "role": access.role,
        "via": [Way(subject=way.subject, name=way.name, role=way.role) for way in access.via],
    }
