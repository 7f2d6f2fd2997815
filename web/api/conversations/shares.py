"""Conversations shared by a link, by the user and with the user."""

from datetime import datetime
from typing import Annotated

from django.db.models import Q
from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import BaseModel, Field

from cairn.access.directory import list_groups, list_users
from cairn.access.scope import Principal
from cairn.audit.services import record_unless_recent
from retrieval.conversations.services import ShownMessage, conversation_for, message_for
from retrieval.conversations.shares import (
    messages_shared,
    share_continue,
    share_end,
    share_for,
    share_lags,
    share_of,
    share_put,
    share_title,
)
from retrieval.models import Share as ShareRow
from web.api.framework.fields import Body, Flag, Subject
from web.api.schemas import Citation, Conversation, Nearest, citations_of, nearest_of, versions_of
from web.http.authentication import needs, principal_of

of_conversation = Router(tags=["Sharing"], auth=needs("ask"))
of_message = Router(tags=["Sharing"], auth=needs("ask"))
router = Router(tags=["Sharing"], auth=needs("ask"))
subjects = Router(tags=["Sharing"], auth=needs("ask"))
SUGGESTED = 10


class ShareBody(Body):
    """`subjects`: `everyone` who can sign in, or `user:ID` and `group:ID`. The link shows the conversation as
    it was when shared; `renew` updates it to the present state.
    """

    subjects: Annotated[list[Subject], Field(min_length=1, max_length=200)]
    renew: Flag = False


class Share(BaseModel):
    """`message`: set if only this answer is shared. `lags`: the conversation has continued since. Open `url`
    in a browser."""

    id: str
    conversation: str
    message: str | None = None
    url: str
    subjects: list[str]
    lags: bool
    created_at: datetime
    renewed_at: datetime

    @classmethod
    def of(cls, row: ShareRow) -> "Share":
        return cls(
            id=str(row.id),
            conversation=str(row.conversation_id),
            message=str(row.last_id) if row.single else None,
            url=f"/shared/{row.id}",
            subjects=row.subjects,
            lags=share_lags(row),
            created_at=row.created_at,
            renewed_at=row.renewed_at,
        )


class SharedAnswer(BaseModel):
    """`withheld`: the answer is based on documents you may not read, and is not shown."""

    question: str
    answer: str
    verdict: str
    reason: str
    state: str
    withheld: bool
    citations: list[Citation]
    nearest: list[Nearest]
    created_at: datetime


class SharedConversation(BaseModel):
    id: str
    title: str
    owner: str
    renewed_at: datetime
    messages: list[SharedAnswer]


class ShareSubject(BaseModel):
    """`label`: the display name as well, to show to people."""

    subject: str
    name: str
    label: str = ""


class SubjectQuery(BaseModel):
    q: str = Field(min_length=2, max_length=150, description="Start of a name")


@of_conversation.get("/{conversation_id}/share", summary="Get the link to a conversation", response=Share)
def share_get(request: HttpRequest, conversation_id: str) -> Share:
    """Returns the link; 404 while the conversation is not shared."""
    return Share.of(share_of(conversation_for(principal_of(request), conversation_id)))


@of_conversation.put("/{conversation_id}/share", summary="Share a conversation", response=Share)
def share_change(request: HttpRequest, conversation_id: str, payload: ShareBody) -> Share:
    """Creates the link, or changes who may open it. Readers see your questions, and answers based on
    documents they may read themselves.
    """
    principal = principal_of(request)
    row = conversation_for(principal, conversation_id)
    return Share.of(
        share_put(conversation=row, subjects=payload.subjects, renew=payload.renew, actor=principal.actor)
    )


@of_conversation.delete(
    "/{conversation_id}/share", summary="Stop sharing a conversation", response={204: None}
)
def share_remove(request: HttpRequest, conversation_id: str) -> Status[None]:
    """Deletes the link. If shared again, the conversation gets another one."""
    principal = principal_of(request)
    share_end(conversation=conversation_for(principal, conversation_id), actor=principal.actor)
    return Status(204, None)


@of_message.get("/{message_id}/share", summary="Get the link to an answer", response=Share)
def answer_share_get(request: HttpRequest, message_id: str) -> Share:
    """Returns the link to this answer alone; 404 while it is not shared."""
    message = message_for(principal_of(request), message_id)
    return Share.of(share_of(message.conversation, message))


@of_message.put("/{message_id}/share", summary="Share a single answer", response=Share)
def answer_share_change(request: HttpRequest, message_id: str, payload: ShareBody) -> Share:
    """Creates a link to this question and answer alone, or changes who may open it."""
    principal = principal_of(request)
    message = message_for(principal, message_id)
    return Share.of(
        share_put(
            conversation=message.conversation,
            message=message,
            subjects=payload.subjects,
            actor=principal.actor,
        )
    )


@of_message.delete("/{message_id}/share", summary="Stop sharing an answer", response={204: None})
def answer_share_remove(request: HttpRequest, message_id: str) -> Status[None]:
    """Deletes the link to this answer."""
    principal = principal_of(request)
    message = message_for(principal, message_id)
    share_end(conversation=message.conversation, message=message, actor=principal.actor)
    return Status(204, None)


@router.get("/{share_id}", summary="Read a shared conversation", response=SharedConversation)
def shared_get(request: HttpRequest, share_id: str) -> SharedConversation:
    """Returns the conversation. Answers based on documents that you may not read are withheld."""
    principal = principal_of(request)
    row = open_share(principal, share_id)
    seen = messages_shared(row, principal)
    versions = versions_of(citation for each in seen for citation in each.citations)
    return SharedConversation(
        id=str(row.id),
        title=share_title(row),
        owner=row.conversation.user.username,
        renewed_at=row.renewed_at,
        messages=[_build_shared_answer(each, citations_of(each.citations, versions)) for each in seen],
    )


def open_share(principal: Principal, value: object) -> ShareRow:
    row = share_for(principal, value)
    record_unless_recent("share.opened", actor=principal.actor, subject=f"share:{row.id}")
    return row


def _build_shared_answer(shown: ShownMessage, citations: list[Citation]) -> SharedAnswer:
    message = shown.message
    return SharedAnswer(
        question=message.question,
        answer=shown.answer,
        verdict="" if shown.withheld else message.verdict,
        reason="" if shown.withheld else shown.reason,
        state=shown.state,
        withheld=shown.withheld,
        citations=citations,
        nearest=[nearest_of(item) for item in shown.nearest],
        created_at=message.created_at,
    )


@router.post("/{share_id}/continue", summary="Continue a shared conversation", response={201: Conversation})
def shared_continue(request: HttpRequest, share_id: str) -> Status[Conversation]:
    """Copies it into a conversation of your own. 409 if you may not read all of it."""
    principal = principal_of(request)
    row = share_continue(share=share_for(principal, share_id), principal=principal)
    row.refresh_from_db()
    return Status(201, Conversation.of(row))


@subjects.get("", summary="Find people and groups to share with", response=list[ShareSubject])
def subject_list(request: HttpRequest, query: Query[SubjectQuery]) -> list[ShareSubject]:
    """Lists people whose names begin with the text, and such groups among your own."""
    principal = principal_of(request)
    named = Q(username__istartswith=query.q) | Q(display_name__istartswith=query.q)
    users = list_users().filter(named, is_active=True).exclude(pk=principal.user)
    groups = list_groups().filter(name__istartswith=query.q)
    if not principal.administers:
        groups = groups.filter(members=principal.user)
    return [
        *(ShareSubject(subject=f"group:{row.id}", name=str(row)) for row in groups[:SUGGESTED]),
        *(
            ShareSubject(subject=f"user:{row.id}", name=row.username, label=row.label)
            for row in users[:SUGGESTED]
        ),
    ]
