"""The user's conversations, and feedback on answers."""

from datetime import datetime
from typing import Annotated, Literal

from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router, Status
from pydantic import BaseModel, Field, StringConstraints

from ingestion.documents.conversation_files import conversation_files_delete
from retrieval.conversations import ask
from retrieval.conversations.folders import conversation_move, folder_for
from retrieval.conversations.search import find_conversations
from retrieval.conversations.services import (
    conversation_create,
    conversation_delete,
    conversation_for,
    conversation_pin,
    conversation_rename,
    conversation_show,
    load_shown_message,
    load_shown_path,
    message_feedback,
    message_feedback_remove,
    message_for,
)
from retrieval.conversations.snippets import find_snippets
from retrieval.conversations.undo import conversation_delete_restorably, conversation_restore
from web.api.conversations.answer_events import STREAMED, answer_follow
from web.api.conversations.answer_markdown import markdown_of
from web.api.framework.fields import Body, Flag, Id, Patch
from web.api.framework.pagination import Page, PageQuery, page_of
from web.api.schemas import Answer, Conversation, ConversationWithMessages, Feedback, Receipt, answers_of
from web.http.authentication import needs, principal_of

router = Router(tags=["Conversations"], auth=needs("ask"))
messages = Router(tags=["Conversations"], auth=needs("ask"))
MARKDOWN_TYPE = "text/markdown; charset=utf-8"
MARKDOWN = {"description": "Markdown", "content": {"text/markdown": {"schema": {"type": "string"}}}}
ConversationTitle = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class NewConversation(Body):
    temporary: Flag = Field(
        False,
        description="Not in lists and knowledge gaps; deleted four hours after its last question",
    )


class ConversationPatch(Patch):
    """`current`: a message of the conversation. Its branch is displayed, down to its latest question.
    `folder`: id of one of your folders; null for none."""

    erasable = frozenset({"folder"})

    title: ConversationTitle | None = None
    current: Id | None = None
    pinned: Flag | None = None
    folder: Id | None = None


class ConversationQuery(PageQuery):
    q: str = Field("", max_length=200, description="Words in the title, a question or an answer")
    folder: str | None = Field(None, max_length=200, description="Only those in this folder")


class Deleted(BaseModel):
    """`restorable_until`: only for a conversation of which a copy is kept. `receipt`: only for a conversation
    with files, which are erased."""

    id: str
    deleted: bool = True
    restorable_until: datetime | None = None
    receipt: Receipt | None = None


class DeleteQuery(BaseModel):
    restorable: bool = Field(False, description="Keep a copy for five minutes, so that it can be restored")


class NewFeedback(Body):
    rating: Literal["up", "down"]
    reason: Annotated[str, Field(max_length=100)] = ""
    comment: Annotated[str, Field(max_length=4000)] = ""


class Stopped(BaseModel):
    """`stopped` is false if the answer was no longer being written."""

    id: str
    stopped: bool


@router.get("", summary="List your conversations", response=Page[Conversation])
def conversation_list(request: HttpRequest, query: Query[ConversationQuery]) -> Page[Conversation]:
    """Lists your conversations, the last used first."""
    principal = principal_of(request)
    rows = find_conversations(principal, query.q)
    if query.folder is not None:
        rows = rows.filter(folder=folder_for(principal, query.folder))
    found = page_of(rows, query, by="updated_at", newest_first=True)
    snippets = find_snippets(principal, found.rows, query.q)
    items = [Conversation.of(row, snippets.get(row.id)) for row in found.rows]
    return Page(items=items, next_cursor=found.next_cursor)


@router.post("", summary="Create a conversation", response={201: Conversation})
def conversation_open(request: HttpRequest, payload: NewConversation) -> Status[Conversation]:
    """Creates a conversation without a question; `POST /ask` with its id asks the first one. It is listed
    from then on, and deleted after four hours if nothing is asked.
    """
    row = conversation_create(principal=principal_of(request), temporary=payload.temporary)
    return Status(201, Conversation.of(row))


@router.get("/{conversation_id}", summary="Get a conversation", response=ConversationWithMessages)
def conversation_get(request: HttpRequest, conversation_id: str) -> ConversationWithMessages:
    """Returns the conversation with the displayed path of answers, oldest first.

    Content you may no longer read is left out.
    """
    principal = principal_of(request)
    row = conversation_for(principal, conversation_id)
    answers = answers_of(load_shown_path(row, principal))
    return ConversationWithMessages(**Conversation.of(row).model_dump(), messages=answers)


@router.patch("/{conversation_id}", summary="Rename, pin or switch a conversation", response=Conversation)
@transaction.atomic
def conversation_change(
    request: HttpRequest, conversation_id: str, payload: ConversationPatch
) -> Conversation:
    """Renames or pins your conversation, moves it to a folder, or displays another branch of it."""
    principal = principal_of(request)
    row = conversation_for(principal, conversation_id)
    if payload.title is not None:
        row = conversation_rename(conversation=row, title=payload.title)
    if payload.current is not None:
        row = conversation_show(conversation=row, message=payload.current)
    if payload.pinned is not None:
        row = conversation_pin(conversation=row, pinned=payload.pinned)
    if "folder" in payload.model_fields_set:
        folder = None if payload.folder is None else folder_for(principal, payload.folder)
        row = conversation_move(conversation=row, folder=folder)
    return Conversation.of(row)


@router.delete("/{conversation_id}", summary="Delete a conversation", response=Deleted, exclude_unset=True)
def conversation_remove(request: HttpRequest, conversation_id: str, query: Query[DeleteQuery]) -> Deleted:
    """Deletes the conversation immediately, and erases its files. `POST /conversations/{id}/restore` brings
    it back if it was deleted with `restorable`, except temporary ones; its files are erased afterwards.
    """
    principal = principal_of(request)
    row = conversation_for(principal, conversation_id)
    shape = Deleted(id=str(row.id), deleted=True)
    if query.restorable and not row.temporary:
        shape.restorable_until = conversation_delete_restorably(conversation=row, actor=principal.actor)
        return shape
    with transaction.atomic():
        receipt = conversation_files_delete(conversation=row.id, principal=principal)
        conversation_delete(conversation=row, actor=principal.actor)
    if receipt is not None:
        shape.receipt = Receipt.of(receipt)
    return shape


@router.post("/{deleted_id}/restore", summary="Restore a deleted conversation", response=Conversation)
def conversation_bring_back(request: HttpRequest, deleted_id: str) -> Conversation:
    """Restores a conversation that was deleted with `restorable`; 404 when its copy is gone."""
    return Conversation.of(conversation_restore(principal=principal_of(request), conversation=deleted_id))


@messages.get("/{message_id}", summary="Get an answer", response=Answer)
def message_get(request: HttpRequest, message_id: str) -> Answer:
    """Returns a message, including one that is not on the displayed path."""
    principal = principal_of(request)
    return answers_of([load_shown_message(message_for(principal, message_id), principal)])[0]


@messages.get(
    "/{message_id}/events", summary="Follow an answer", openapi_extra={"responses": {200: STREAMED}}
)
def message_events(request: HttpRequest, message_id: str) -> StreamingHttpResponse:
    """Streams the answer so far and the rest as it is written, until it is complete; from any process."""
    return answer_follow(principal_of(request), message_id)


@messages.get(
    "/{message_id}/markdown",
    summary="Get an answer as Markdown",
    openapi_extra={"responses": {200: MARKDOWN}},
)
def message_markdown(request: HttpRequest, message_id: str) -> HttpResponse:
    """Returns the answer with a list of its sources, to paste elsewhere."""
    principal = principal_of(request)
    [answer] = answers_of([load_shown_message(message_for(principal, message_id), principal)])
    return HttpResponse(markdown_of(answer, request.build_absolute_uri), content_type=MARKDOWN_TYPE)


@messages.post("/{message_id}/feedback", summary="Rate an answer", response=Feedback)
def feedback_give(request: HttpRequest, message_id: str, payload: NewFeedback) -> Feedback | None:
    """Replaces your earlier feedback."""
    row = message_for(principal_of(request), message_id)
    return Feedback.of(message_feedback(message=row, **payload.model_dump()))


@messages.delete("/{message_id}/feedback", summary="Withdraw a rating", response=Deleted, exclude_unset=True)
def feedback_take_back(request: HttpRequest, message_id: str) -> Deleted:
    """Removes your rating of the answer, with its reason and comment."""
    row = message_for(principal_of(request), message_id)
    return Deleted(id=str(message_feedback_remove(message=row).id), deleted=True)


@messages.post("/{message_id}/stop", summary="Stop an answer", response={202: Stopped})
def message_stop(request: HttpRequest, message_id: str) -> Status[Stopped]:
    """Stops the answer. The stream ends with the text written so far."""
    row = message_for(principal_of(request), message_id)
    return Status(202, Stopped(id=str(row.id), stopped=ask.stop(row)))
