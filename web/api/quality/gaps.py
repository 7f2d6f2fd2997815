"""Knowledge gaps for editors and managers, and the askers' choice to report questions."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal

from django.http import HttpRequest
from django.utils.translation import gettext_noop
from ninja import Query, Router
from pydantic import BaseModel, Field, StringConstraints

from cairn.access.permissions import documents_for
from cairn.access.principals import has_key_scope
from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.errors import Conflict, InvalidInput, NotFound
from ingestion.gaps.verified_answers import (
    answer_publish,
    answer_renew,
    gap_reopen_and_withdraw,
    question_texts,
)
from retrieval.conversations.services import message_for
from retrieval.gaps.models import Gap as GapRow
from retrieval.gaps.models import GapQuestion as QuestionRow
from retrieval.gaps.models import Why
from retrieval.gaps.recorder import passing_on_set
from retrieval.gaps.selectors import (
    annotate_gaps,
    documents_near,
    documents_suggested,
    gap_for,
    gaps_for,
    questions_of,
    verified_answer_for,
)
from retrieval.gaps.services import (
    gap_dismiss,
    gap_link,
    gap_merge,
    gap_update,
    question_split,
    suggestion_decline,
)
from web.api.framework import fields
from web.api.framework.fields import (
    Body,
    Id,
    Patch,
    Title,
    parse_id_or_no_match,
    parse_knowledge_base_or_no_match,
)
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.schemas import passage_url
from web.http.authentication import needs, principal_of

router = Router(tags=["Knowledge gaps"], auth=needs("manage"))
of_message = Router(tags=["Conversations"], auth=needs("ask"))
State = Literal["open", "assigned", "answered", "dismissed"]
QUESTIONS = 200
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Wording = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Near(BaseModel):
    document: str
    title: str
    url: str


class GapQuestion(BaseModel):
    """`asked_by` is null unless the asker agreed to be named. `reason`: why it was refused, or feedback on
    the answer.
    """

    id: str
    question: str
    why: Why
    reason: str
    asked_at: datetime
    asked_by: str | None

    @classmethod
    def of(cls, row: QuestionRow) -> "GapQuestion":
        return cls(
            id=str(row.id),
            question=row.text,
            why=Why(row.why),
            reason=row.reason,
            asked_at=row.created_at,
            asked_by=row.message.conversation.user.username if row.with_name else None,
        )


class Gap(BaseModel):
    """`title`: the first question. `lately` and `before`: questions in the last two weeks, and in the two
    weeks before. `knowledge_bases`: those that you may read; empty if none is known: such a gap is visible to
    admins.
    """

    id: str
    title: str
    knowledge_bases: list[str]
    state: State
    questions: int
    lately: int
    before: int
    last_asked: datetime
    owner: str | None
    due: date | None
    note: str
    dismissed_reason: str
    closes_itself: bool
    answered_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: GapRow) -> "Gap":
        """Build it from a row of `annotate_gaps`."""
        return cls(**_fields(row))


def _fields(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "title": row.title,
        "knowledge_bases": [str(base.id) for base in row.knowledge_bases.all()],
        "state": row.state,
        "questions": row.asked,
        "lately": row.lately,
        "before": row.before,
        "last_asked": row.last_asked,
        "owner": str(row.owner_id) if row.owner_id else None,
        "due": row.due,
        "note": row.note,
        "dismissed_reason": row.dismissed_reason,
        "closes_itself": row.closes_itself,
        "answered_at": row.answered_at,
        "created_at": row.created_at,
    }


class VerifiedAnswer(BaseModel):
    """`current`: whether it is in use. `document` contains it. `text` is empty for keys with neither `search`
    nor `ask`.
    """

    title: str
    text: str
    wordings: list[str]
    knowledge_base: str
    document: str | None
    owner: str | None
    until: date
    current: bool


class GapInFull(Gap):
    """A gap with its latest questions, without documents you may not read. `suggested`: documents cited when
    the question was asked again.
    """

    asked: list[GapQuestion]
    nearest: list[Near]
    suggested: list[Near]
    document: Near | None
    verified: VerifiedAnswer | None


class GapQuery(PageQuery):
    knowledge_base: Id | None = None
    state: State | None = None
    owner: Id | None = Field(None, description="A user's id, or `nobody`")


class GapPatch(Patch):
    erasable: ClassVar[frozenset[str]] = frozenset({"owner", "due"})

    owner: Id | None = None
    due: date | None = None
    note: Annotated[str, Field(max_length=5000)] | None = None
    closes_itself: fields.Flag | None = None


class Dismissal(Body):
    reason: Reason


class Merge(Body):
    into: Id


class Link(Body):
    document: Id


class NewAnswer(Body):
    """`wordings`: alternate questions; the gap's questions if absent. `owner`: who is responsible for it; you
    if absent. Only admins can name another person (403 otherwise).
    """

    knowledge_base: Id
    title: Title
    text: Text
    until: date
    wordings: Annotated[list[Wording], Field(max_length=12)] = []
    owner: Id | None = None


class Renewal(Body):
    until: date


class PassingOn(Body):
    """The asker's choice. `with_name`: editors see who asked."""

    passed_on: fields.Flag
    with_name: fields.Flag = False


class PassedOn(BaseModel):
    id: str
    passed_on: bool
    with_name: bool


@router.get("", summary="List knowledge gaps", response=Page[Gap])
def gap_list(request: HttpRequest, query: Query[GapQuery]) -> Page[Gap]:
    """Lists gaps of knowledge bases you manage, and those assigned to you, newest first."""
    principal = principal_of(request)
    rows = gaps_for(principal)
    if query.knowledge_base is not None:
        rows = rows.filter(knowledge_bases=parse_knowledge_base_or_no_match(principal, query.knowledge_base))
    rows = rows.filter(state=query.state) if query.state else rows
    if query.owner is not None:
        owner = None if query.owner == "nobody" else parse_id_or_no_match(query.owner)
        rows = rows.filter(owner=owner) if owner else rows.filter(owner=None)
    found = page_of(annotate_gaps(rows, principal), query, newest_first=True)
    return Page(items=[Gap.of(row) for row in found.rows], next_cursor=found.next_cursor)


@router.get("/{gap_id}", summary="Get a knowledge gap", response=GapInFull)
def gap_get(request: HttpRequest, gap_id: str) -> GapInFull:
    """Returns a gap with its latest questions."""
    return _in_full(principal_of(request), gap_id)


def _in_full(principal: Principal, gap_id: object) -> GapInFull:
    row = gap_for(principal, gap_id)
    asked = questions_of(row).order_by("-created_at", "-id")[:QUESTIONS]
    linked = [] if row.document is None else _describe_documents([row.document], principal)
    return GapInFull(
        **_fields(row),
        asked=[GapQuestion.of(question) for question in asked],
        nearest=_describe_documents(documents_near(row, principal)),
        suggested=_describe_documents(documents_suggested(row, principal)),
        document=linked[0] if linked else None,
        verified=_load_verified_answer(row, principal),
    )


def _describe_documents(rows: Sequence[Any], principal: Principal | None = None) -> list[Near]:
    if principal is not None:
        rows = list(documents_for(principal).filter(pk__in=[row.pk for row in rows]))
    return [Near(document=str(row.id), title=row.title, url=passage_url(row.id)) for row in rows]


def _load_verified_answer(gap: GapRow, principal: Principal) -> VerifiedAnswer | None:
    row = verified_answer_for(principal, gap)
    if row is None:
        return None
    return VerifiedAnswer(
        title=row.title,
        text=row.text if has_key_scope(principal, "search", "ask") else "",
        wordings=row.wordings,
        knowledge_base=str(row.knowledge_base_id),
        document=str(row.document_id) if row.document_id else None,
        owner=str(row.owner_id) if row.owner_id else None,
        until=row.until,
        current=row.vouches_for(row.sha256),
    )


@router.patch("/{gap_id}", summary="Assign a knowledge gap", response=GapInFull)
def gap_change(request: HttpRequest, gap_id: str, payload: GapPatch) -> GapInFull:
    """Assigns an owner, who must be an editor or manager of one of its knowledge bases."""
    principal = principal_of(request)
    row = gap_for(principal, gap_id)
    sent = payload.sent
    if sent.get("owner") is not None:
        sent["owner"] = parse_id_or_no_match(sent["owner"])
    gap_update(gap=row, principal=principal, changes=sent)
    return _in_full(principal, gap_id)


@router.post("/{gap_id}/dismiss", summary="Dismiss a knowledge gap", response=GapInFull)
def gap_dismissed(request: HttpRequest, gap_id: str, payload: Dismissal) -> GapInFull:
    """Dismisses the gap. Similar questions join it without reopening it."""
    principal = principal_of(request)
    gap_dismiss(gap=gap_for(principal, gap_id), reason=payload.reason, principal=principal)
    return _in_full(principal, gap_id)


@router.post("/{gap_id}/reopen", summary="Reopen a knowledge gap", response=GapInFull)
def gap_reopened(request: HttpRequest, gap_id: str) -> GapInFull:
    """Opens a gap again that was answered or dismissed. A verified answer is no longer given until it is
    renewed or published again; 403 if you may not edit it.
    """
    principal = principal_of(request)
    gap_reopen_and_withdraw(gap=gap_for(principal, gap_id), principal=principal)
    return _in_full(principal, gap_id)


@router.post("/{gap_id}/merge", summary="Merge two knowledge gaps", response=GapInFull)
def gap_merged(request: HttpRequest, gap_id: str, payload: Merge) -> GapInFull:
    """Moves its questions to another gap of the same knowledge bases (409 otherwise), and returns that
    gap.
    """
    principal = principal_of(request)
    into = gap_for(principal, payload.into)
    gap_merge(gap=gap_for(principal, gap_id), into=into, principal=principal)
    return _in_full(principal, into.id)


@router.post(
    "/{gap_id}/questions/{asked_id}/split", summary="Move a question into a new gap", response=GapInFull
)
def question_split_off(request: HttpRequest, gap_id: str, asked_id: str) -> GapInFull:
    """Moves a question into a new gap, and returns that gap. 409 if it is the only question."""
    principal = principal_of(request)
    gap = gap_for(principal, gap_id)
    question = gap.questions.filter(pk=parse_id_or_no_match(asked_id)).first()
    if question is None:
        raise NotFound
    return _in_full(principal, question_split(question=question, principal=principal).id)


@router.post("/{gap_id}/document", summary="Answer a gap with a document", response=GapInFull)
def gap_document(request: HttpRequest, gap_id: str, payload: Link) -> GapInFull:
    """Links an existing document as the answer. Askers who may read it are notified."""
    principal = principal_of(request)
    gap_link(gap=gap_for(principal, gap_id), document_id=payload.document, principal=principal)
    return _in_full(principal, gap_id)


@router.post("/{gap_id}/decline", summary="Reject the suggested documents", response=GapInFull)
def gap_declined(request: HttpRequest, gap_id: str) -> GapInFull:
    """Rejects the suggested documents."""
    principal = principal_of(request)
    suggestion_decline(gap=gap_for(principal, gap_id), principal=principal)
    return _in_full(principal, gap_id)


@router.put("/{gap_id}/answer", summary="Publish a verified answer", response=GapInFull)
def gap_answer(request: HttpRequest, gap_id: str, payload: NewAnswer) -> GapInFull:
    """Requires the role editor in the knowledge base, which is one of the gap's. Publishes the answer as a
    document, valid until the given day. Sending it again creates a new version.
    """
    principal = principal_of(request)
    gap = gap_for(principal, gap_id)
    options = payload.model_dump(exclude={"owner"})
    if "wordings" not in payload.model_fields_set:
        options["wordings"] = question_texts(gap)
    answer_publish(gap=gap, principal=principal, owner=_owner(payload.owner, principal), **options)
    return _in_full(principal, gap_id)


def _owner(value: str | None, principal: Principal) -> User:
    found = User.objects.filter(pk=principal.user if value is None else parse_id_or_no_match(value)).first()
    if found is None:
        raise InvalidInput(gettext_noop("The owner is not a user."))
    return found


@router.post("/{gap_id}/renew", summary="Renew a verified answer", response=GapInFull)
def gap_renewed(request: HttpRequest, gap_id: str, payload: Renewal) -> GapInFull:
    """Extends the verified answer unchanged until another day. 409 without one. You become its owner, unless
    you are an admin and its owner is still an editor.
    """
    principal = principal_of(request)
    row = verified_answer_for(principal, gap_for(principal, gap_id))
    if row is None:
        raise Conflict(gettext_noop("It has no verified answer yet."))
    answer_renew(verified=row, principal=principal, until=payload.until)
    return _in_full(principal, gap_id)


@of_message.put(
    "/{message_id}/passing-on", summary="Report an unanswered question to editors, or not", response=PassedOn
)
def message_passing_on(request: HttpRequest, message_id: str, payload: PassingOn) -> PassedOn:
    """Sets whether editors see this unanswered question. 404 if it was never reported."""
    message = message_for(principal_of(request), message_id)
    row = passing_on_set(message=message, **payload.model_dump())
    if row is None:
        raise NotFound
    return PassedOn(id=str(message.id), passed_on=not row.taken_back, with_name=row.with_name)
