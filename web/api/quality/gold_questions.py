"""Gold questions: real questions with the documents that answer them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.models import Role
from cairn.access.principals import require_key_scope
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_for
from cairn.audit.services import record
from cairn.library.models import KnowledgeBase
from retrieval.conversations.services import message_for
from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.gold_questions import (
    as_gold,
    gold_question_create,
    gold_question_delete,
    gold_question_for,
    gold_question_update,
    gold_questions_for,
)
from retrieval.evaluation.models import GoldQuestion as GoldQuestionRow
from web.api.conversations.conversations import Deleted
from web.api.framework import fields
from web.api.framework.fields import Body, Id, Patch, parse_id_or_no_match
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.row_schema import RowSchema
from web.http.authentication import needs, principal_of

in_knowledge_base = Router(tags=["Evaluation"], auth=needs("manage"))
router = Router(tags=["Evaluation"], auth=needs("manage"))
MEDIA_TYPE = "application/x-ndjson"
History = Annotated[list[fields.Question], Field(max_length=20)]
Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
MustContain = Annotated[list[Phrase], Field(max_length=20)]
Relevant = Annotated[list[Id], Field(max_length=50)]


class NewGoldQuestion(Body):
    """`relevant`: ids of the documents that answer it; none for `unanswerable` and `near_miss`. `message`:
    one of your messages to create it from, with its citations as quotes.
    """

    question: fields.Question
    kind: Kind = Kind.PARAPHRASE
    history: History = []
    relevant: Relevant = []
    must_contain: MustContain = []
    message: Id | None = None


class GoldQuestionPatch(Patch):
    question: fields.Question | None = None
    kind: Kind | None = None
    history: History | None = None
    relevant: Relevant | None = None
    must_contain: MustContain | None = None


class GoldSource(BaseModel):
    document: str
    title: str
    source_uri: str
    quotes: list[str]


class GoldQuestion(RowSchema):
    """`complete` is false once all relevant documents are deleted; the question is then skipped."""

    id: str
    knowledge_base: str
    question: str
    kind: str
    history: list[str]
    relevant: list[GoldSource]
    must_contain: list[str]
    complete: bool
    created_by: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: GoldQuestionRow) -> "GoldQuestion":
        return cls.read(
            row,
            id=str(row.id),
            knowledge_base=str(row.knowledge_base_id),
            relevant=[
                GoldSource(
                    document=str(source.document_id),
                    title=source.document.title,
                    source_uri=source.document.source_uri,
                    quotes=source.quotes,
                )
                for source in row.sources.all()
            ],
            created_by=row.created_by.username if row.created_by else None,
        )


@in_knowledge_base.get(
    "/{knowledge_base_id}/gold-questions", summary="List gold questions", response=Page[GoldQuestion]
)
def gold_question_list(
    request: HttpRequest, knowledge_base_id: str, page: Query[PageQuery]
) -> Page[GoldQuestion]:
    """Requires the role manager. Lists questions, oldest first."""
    principal = principal_of(request)
    base = _get_managed_base(principal, knowledge_base_id)
    found = page_of(gold_questions_for(principal).filter(knowledge_base=base), page)
    return Page(items=[GoldQuestion.of(row) for row in found.rows], next_cursor=found.next_cursor)


@in_knowledge_base.get("/{knowledge_base_id}/gold-questions.jsonl", summary="Export gold questions")
def gold_question_export(request: HttpRequest, knowledge_base_id: str) -> HttpResponse:
    """Requires the role manager. Exports complete questions in the format of `manage.py evaluate`."""
    principal = principal_of(request)
    base = _get_managed_base(principal, knowledge_base_id)
    rows = gold_questions_for(principal).filter(knowledge_base=base)
    record("gold_questions.exported", actor=principal.actor, subject=f"kb:{base.id}")
    lines = "".join(as_gold(row).model_dump_json() + "\n" for row in rows if row.complete)
    response = HttpResponse(lines, content_type=MEDIA_TYPE)
    response["Content-Disposition"] = f'attachment; filename="{base.slug}.jsonl"'
    return response


@in_knowledge_base.post(
    "/{knowledge_base_id}/gold-questions", summary="Create a gold question", response={201: GoldQuestion}
)
def gold_question_add(
    request: HttpRequest, knowledge_base_id: str, payload: NewGoldQuestion
) -> Status[GoldQuestion]:
    """Requires the role manager. A key also needs the scope `ask` to name a `message`."""
    principal = principal_of(request)
    base = _get_managed_base(principal, knowledge_base_id)
    if payload.message:
        require_key_scope(principal, "ask")  # the quotes come from a conversation
    row = gold_question_create(
        principal=principal,
        knowledge_base=base,
        message=message_for(principal, payload.message) if payload.message else None,
        relevant=_ids(payload.relevant),
        **payload.model_dump(exclude={"message", "relevant"}),
    )
    return Status(201, GoldQuestion.of(gold_question_for(principal, row.pk)))


@router.get("/{gold_question_id}", summary="Get a gold question", response=GoldQuestion)
def gold_question_get(request: HttpRequest, gold_question_id: str) -> GoldQuestion:
    """Requires the role manager. Returns a question with its expected documents and words."""
    return GoldQuestion.of(gold_question_for(principal_of(request), gold_question_id))


@router.patch("/{gold_question_id}", summary="Change a gold question", response=GoldQuestion)
def gold_question_change(
    request: HttpRequest, gold_question_id: str, payload: GoldQuestionPatch
) -> GoldQuestion:
    """Changes a question. Documents that stay relevant retain their quotes."""
    principal = principal_of(request)
    row = gold_question_for(principal, gold_question_id)
    sent: dict[str, Any] = payload.sent
    if payload.relevant is not None:
        sent["relevant"] = _ids(payload.relevant)
    return GoldQuestion.of(gold_question_update(principal=principal, row=row, **sent))


@router.delete("/{gold_question_id}", summary="Delete a gold question", response=Deleted, exclude_none=True)
def gold_question_remove(request: HttpRequest, gold_question_id: str) -> Deleted:
    """Requires the role manager. Deletes the question. Finished evaluations stay as they are."""
    row = gold_question_for(principal_of(request), gold_question_id)
    shape = Deleted(id=str(row.id))
    gold_question_delete(row=row)
    return shape


def _get_managed_base(principal: Principal, value: str) -> KnowledgeBase:
    return knowledge_base_for(principal, value, role=Role.MANAGER)


def _ids(values: list[str]) -> list[UUID]:
    return [parse_id_or_no_match(value) for value in values]
