"""Knowledge bases and their grants."""

from collections.abc import Sequence
from typing import Annotated, ClassVar
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from ninja import Body as JsonBody
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for, roles_in
from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_for
from cairn.access.services import (
    STEM_LENGTH,
    grants_replace,
    knowledge_base_approve,
    knowledge_base_create,
    knowledge_base_owner_set,
    knowledge_base_update,
    retention_set,
)
from cairn.answers import Grounding
from cairn.library.models import KnowledgeBase as KnowledgeBaseRow
from cairn.library.models import OutsideModels, Sensitivity
from ingestion.documents.services import knowledge_base_delete
from ingestion.erasure.retention import find_expired
from web.api.framework import fields
from web.api.framework.fields import Body, Description, Flag, Id, Name, Patch, Subject, parse_id_or_no_match
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.schemas import Erasure, Grant, KnowledgeBase, Receipt
from web.http.authentication import needs, principal_of

router = Router(tags=["Knowledge bases"])
LONGEST_DAYS = 36_500
Slug = Annotated[
    str,
    StringConstraints(min_length=1, max_length=STEM_LENGTH, pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$"),
    Field(description="Only administrators can choose it. 409 if it is or was in use."),
]
Days = Annotated[fields.Count, Field(ge=1, le=LONGEST_DAYS)]
READS = needs("search", "ask", "ingest", "manage")
MANAGES = needs("manage")


class NewKnowledgeBase(Body):
    name: Name
    description: Description = ""
    sensitivity: Sensitivity = Sensitivity.INTERNAL
    grounding: Grounding = Grounding.STRICT
    slug: Slug | None = None


class KnowledgeBasePatch(Patch):
    """`retention_days`: documents whose latest version is older are deleted by schedule; null: none. Only
    admins may send `official` and `owner`, a user's id or null. `outside_models`: whether language models
    outside the organisation may read it; managers may only
    `forbid` it.
    """

    erasable: ClassVar[frozenset[str]] = frozenset({"retention_days", "owner"})

    name: Name | None = None
    description: Description | None = None
    sensitivity: Sensitivity | None = None
    grounding: Grounding | None = None
    outside_models: OutsideModels | None = None
    retention_days: Days | None = None
    official: Flag | None = None
    owner: Id | None = None


class RetentionQuery(BaseModel):
    days: int = Field(ge=1, le=LONGEST_DAYS)


class RetentionEffect(BaseModel):
    """`documents`: the number that would be deleted immediately."""

    documents: int


class NewGrant(Body):
    """`subject` is `user:ID`, `group:ID` or `everyone`."""

    subject: Subject
    role: Role


NewGrants = Annotated[list[NewGrant], Field(max_length=1000)]


@router.get("", summary="List knowledge bases", response=Page[KnowledgeBase], auth=READS)
def knowledge_base_list(request: HttpRequest, page: Query[PageQuery]) -> Page[KnowledgeBase]:
    """Lists knowledge bases you may read."""
    principal = principal_of(request)
    found = page_of(knowledge_bases_for(principal).select_related("owner"), page)
    return Page(items=_shapes(found.rows, principal), next_cursor=found.next_cursor)


@router.post("", summary="Create a knowledge base", response={201: KnowledgeBase}, auth=MANAGES)
def knowledge_base_add(request: HttpRequest, payload: NewKnowledgeBase) -> Status[KnowledgeBase]:
    """Requires the permission to create knowledge bases (`can_create_knowledge_bases` of `GET /me`). Admins
    have it, and members of groups that an admin selected. A key that is limited to some knowledge bases
    does not.

    You become its manager; nobody else but admins sees it until access is granted. Its slug is made from the
    name; unless an admin creates it, a random suffix is added.
    """
    principal = principal_of(request)
    row = knowledge_base_create(principal=principal, **payload.model_dump())
    return Status(201, _shape(row, principal))


@router.get("/{knowledge_base_id}", summary="Get a knowledge base", response=KnowledgeBase, auth=READS)
def knowledge_base_get(request: HttpRequest, knowledge_base_id: str) -> KnowledgeBase:
    """Returns the knowledge base with this id or slug, and your role in it."""
    principal = principal_of(request)
    return _shape(knowledge_base_for(principal, knowledge_base_id), principal)


@router.patch("/{knowledge_base_id}", summary="Change a knowledge base", response=KnowledgeBase, auth=MANAGES)
def knowledge_base_change(
    request: HttpRequest, knowledge_base_id: str, payload: KnowledgeBasePatch
) -> KnowledgeBase:
    """Requires the role manager. The slug stays. Only admins may change `official` and `owner`, or rename an
    official knowledge base.
    """
    principal = principal_of(request)
    row = knowledge_base_for(principal, knowledge_base_id, role=Role.MANAGER)
    sent = payload.sent
    if sent.keys() & {"official", "owner"}:
        require_admin(principal)
    with transaction.atomic():
        if "official" in sent:
            knowledge_base_approve(knowledge_base=row, official=sent.pop("official"), principal=principal)
        if "owner" in sent:
            knowledge_base_owner_set(knowledge_base=row, owner=_user(sent.pop("owner")), principal=principal)
        if "retention_days" in sent:
            retention_set(knowledge_base=row, days=sent.pop("retention_days"), actor=principal.actor)
        if sent:
            row = knowledge_base_update(knowledge_base=row, principal=principal, **sent)
    return _shape(row, principal)


def _user(value: str | None) -> UUID | None:
    return None if value is None else parse_id_or_no_match(value)


@router.get(
    "/{knowledge_base_id}/retention/effect",
    summary="Preview a retention period",
    response=RetentionEffect,
    auth=MANAGES,
)
def retention_effect(
    request: HttpRequest, knowledge_base_id: str, query: Query[RetentionQuery]
) -> RetentionEffect:
    """Requires the role manager. Previews what `retention_days` would delete."""
    row = knowledge_base_for(principal_of(request), knowledge_base_id, role=Role.MANAGER)
    return RetentionEffect(documents=find_expired(row, query.days).count())


@router.delete(
    "/{knowledge_base_id}", summary="Delete a knowledge base", response={202: Erasure}, auth=MANAGES
)
def knowledge_base_remove(request: HttpRequest, knowledge_base_id: str) -> Status[Erasure]:
    """Requires the role manager. Removes it from answers immediately, and erases it with all documents soon
    after.
    """
    principal = principal_of(request)
    row = knowledge_base_for(principal, knowledge_base_id, role=Role.MANAGER)
    receipt = knowledge_base_delete(knowledge_base=row, principal=principal)
    return Status(202, Erasure(receipt=Receipt.of(receipt)))


@router.get(
    "/{knowledge_base_id}/grants",
    summary="List who has access to a knowledge base",
    response=list[Grant],
    auth=MANAGES,
)
def grant_list(request: HttpRequest, knowledge_base_id: str) -> list[Grant]:
    """Requires the role manager. Lists grants."""
    row = knowledge_base_for(principal_of(request), knowledge_base_id, role=Role.MANAGER)
    return [Grant.of(grant) for grant in row.grants.all()]


@router.put(
    "/{knowledge_base_id}/grants",
    summary="Set who has access to a knowledge base",
    response=list[Grant],
    auth=MANAGES,
)
def grant_replace(request: HttpRequest, knowledge_base_id: str, payload: JsonBody[NewGrants]) -> list[Grant]:
    """Requires the role manager. Replaces all grants, effective from the next question on.

    Only admins may add `everyone` or raise its role. Only admins and the managers of a group may add the
    group or raise its role. Keeping or lowering grants only requires the role manager.
    """
    principal = principal_of(request)
    row = knowledge_base_for(principal, knowledge_base_id, role=Role.MANAGER)
    requested = [(grant.subject, grant.role) for grant in payload]
    grants_replace(knowledge_base=row, grants=requested, principal=principal)
    return [Grant.of(grant) for grant in row.grants.all()]


def _shape(row: KnowledgeBaseRow, principal: Principal) -> KnowledgeBase:
    return _shapes([row], principal)[0]


def _shapes(rows: Sequence[KnowledgeBaseRow], principal: Principal) -> list[KnowledgeBase]:
    """Build the JSON objects, in three queries for any number of rows."""
    roles = roles_in(principal)
    counts = _counts(rows, principal)
    return [
        KnowledgeBase.of(row, role=roles.get(row.id, Role.READER), documents=documents, chunks=chunks)
        for row in rows
        for documents, chunks in [counts.get(row.id, (0, 0))]
    ]


def _counts(rows: Sequence[KnowledgeBaseRow], principal: Principal) -> dict[object, tuple[int, int]]:
    """Count documents the principal may read, and their chunks, by knowledge base."""
    counted = (
        documents_for(principal)
        .filter(knowledge_base__in=[row.pk for row in rows])
        .order_by()
        .values("knowledge_base")
        .annotate(documents=Count("id"), chunks=Coalesce(Sum("active_version__chunk_count"), 0))
    )
    return {each["knowledge_base"]: (each["documents"], each["chunks"]) for each in counted}
