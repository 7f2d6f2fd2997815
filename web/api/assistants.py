"""Assistants: instructions and starter questions for a selection of knowledge bases."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.scope import Principal
from cairn.library.models import KnowledgeBase
from retrieval.assistants.models import Assistant as AssistantRow
from retrieval.assistants.selectors import (
    assistant_for,
    assistant_managed_by,
    assistants_managed_by,
    assistants_offered_to,
    find_assistants,
    visible_bases,
)
from retrieval.assistants.services import (
    MAX_BASES,
    MAX_DESCRIPTION,
    MAX_INSTRUCTIONS,
    MAX_QUESTIONS,
    MAX_SUBJECTS,
    assistant_create,
    assistant_delete,
    assistant_update,
)
from retrieval.suggestions.curated import MAX_EXAMPLE_CHARACTERS
from web.api.framework import fields
from web.api.framework.fields import Body, Id, Name, Patch, Subject
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.knowledge_bases import MANAGES, Slug
from web.api.row_schema import RowSchema
from web.http.authentication import needs, principal_of

router = Router(tags=["Assistants"])
USES = needs("ask", "manage")

Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_DESCRIPTION)]
Instructions = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=MAX_INSTRUCTIONS),
    Field(description="Tone, form or audience. They stand below Cairn's rules, and no check depends on them"),
]
StarterQuestion = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_EXAMPLE_CHARACTERS)
]
StarterQuestions = Annotated[list[StarterQuestion], Field(max_length=MAX_QUESTIONS)]
Bases = Annotated[list[Id], Field(min_length=1, max_length=MAX_BASES, description="Ids or slugs")]
Subjects = Annotated[
    list[Subject],
    Field(max_length=MAX_SUBJECTS, description="Who may use it: `everyone`, `user:ID` or `group:ID`"),
]
ModelName = Annotated[str, StringConstraints(max_length=200)]


class NewAssistant(Body):
    """`model`: name of the configured language model; empty: whichever is configured."""

    name: Name
    knowledge_bases: Bases
    description: Description = ""
    instructions: Instructions = ""
    model: ModelName = ""
    starter_questions: StarterQuestions = []
    subjects: Subjects = []
    slug: Slug | None = None


class AssistantPatch(Patch):
    """`version`: the one that you read; 409 if the assistant has been changed since."""

    name: Name | None = None
    knowledge_bases: Bases | None = None
    description: Description | None = None
    instructions: Instructions | None = None
    model: ModelName | None = None
    starter_questions: StarterQuestions | None = None
    subjects: Subjects | None = None
    version: Annotated[fields.Count, Field(ge=1)] | None = None


class AssistantBase(BaseModel):
    id: str
    slug: str
    name: str

    @classmethod
    def of(cls, row: KnowledgeBase) -> "AssistantBase":
        return cls(id=str(row.id), slug=row.slug, name=row.name)


class Assistant(RowSchema):
    """`knowledge_bases`: those that I may read. `manages`: whether I may change it; `instructions`, `model`
    and `subjects` are null otherwise."""

    id: str
    slug: str
    name: str
    description: str
    starter_questions: list[str]
    knowledge_bases: list[AssistantBase]
    manages: bool
    instructions: str | None
    model: str | None
    subjects: list[str] | None
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: AssistantRow, bases: Sequence[KnowledgeBase], *, manages: bool) -> "Assistant":
        return cls.read(
            row,
            id=str(row.id),
            knowledge_bases=[AssistantBase.of(base) for base in bases],
            manages=manages,
            instructions=row.instructions if manages else None,
            model=row.model if manages else None,
            subjects=row.subjects if manages else None,
        )


class AssistantQuery(PageQuery):
    q: str = Field("", max_length=200, description="Words in the name or description")
    managed: bool = Field(False, description="List those that you may change, instead of those to ask")


@router.get("", summary="List assistants", response=Page[Assistant], auth=USES)
def assistant_list(request: HttpRequest, query: Query[AssistantQuery]) -> Page[Assistant]:
    """Lists the assistants that you may use and whose knowledge bases you may read in part."""
    principal = principal_of(request)
    rows = assistants_managed_by(principal) if query.managed else assistants_offered_to(principal)
    found = page_of(find_assistants(rows, query.q).prefetch_related("readers"), query)
    return Page(items=_shapes(found.rows, principal), next_cursor=found.next_cursor)


@router.post("", summary="Create an assistant", response={201: Assistant}, auth=MANAGES)
def assistant_add(request: HttpRequest, payload: NewAssistant) -> Status[Assistant]:
    """Requires the role manager in some knowledge base, and that you may read those selected.

    An assistant gives access to nothing: answers come from those of its knowledge bases that the asker may
    read. Only admins may offer it to `everyone`; only admins and the managers of a group to the group. Its
    slug is made from the name; unless an admin creates it, a random suffix is added. In the OpenAI-compatible
    API, it is the model `cairn/` and the slug.
    """
    principal = principal_of(request)
    row = assistant_create(principal=principal, **payload.model_dump())
    return Status(201, _shape(row, principal))


@router.get("/{assistant_id}", summary="Get an assistant", response=Assistant, auth=USES)
def assistant_get(request: HttpRequest, assistant_id: str) -> Assistant:
    """Returns the assistant with this id or slug."""
    principal = principal_of(request)
    return _shape(assistant_for(principal, assistant_id), principal)


@router.patch("/{assistant_id}", summary="Change an assistant", response=Assistant, auth=MANAGES)
def assistant_change(request: HttpRequest, assistant_id: str, payload: AssistantPatch) -> Assistant:
    """Requires that you created it or are an admin. The slug stays, and so do selected knowledge bases that
    you may not read.
    """
    principal = principal_of(request)
    row = assistant_managed_by(principal, assistant_id)
    changes: dict[str, Any] = payload.sent
    version = changes.pop("version", None)
    row = assistant_update(assistant=row, principal=principal, changes=changes, version=version)
    return _shape(row, principal)


@router.delete("/{assistant_id}", summary="Delete an assistant", response={204: None}, auth=MANAGES)
def assistant_remove(request: HttpRequest, assistant_id: str) -> Status[None]:
    """Requires that you created it or are an admin. Conversations with it can still be read, but not
    continued.
    """
    principal = principal_of(request)
    assistant_delete(assistant=assistant_managed_by(principal, assistant_id), principal=principal)
    return Status(204, None)


def _shape(row: AssistantRow, principal: Principal) -> Assistant:
    return _shapes([row], principal)[0]


def _shapes(rows: Sequence[AssistantRow], principal: Principal) -> list[Assistant]:
    """Build the JSON objects, in the same number of queries for any number of rows."""
    bases = visible_bases(rows, principal)
    managed = set(
        assistants_managed_by(principal).filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True)
    )
    return [Assistant.of(row, bases[row.pk], manages=row.pk in managed) for row in rows]
