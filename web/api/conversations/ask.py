"""Questions, answered in one response or as a stream."""

from collections.abc import Generator
from typing import Annotated
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext_noop
from ninja import Router
from pydantic import BaseModel, Field

from cairn.access.scope import Principal
from cairn.library.models import DocumentVersion
from retrieval import types as found
from retrieval.conversations import ask as ask_service
from retrieval.engine import get_engine
from retrieval.types import Cited, Delta, Prompted, Sources, Waiting
from web.answer_stream import RunningAnswer, start_answer, stream_frames, wait_for_answer
from web.api.administration.answer_profile import Profile, read_trial_profile
from web.api.conversations.answer_events import STREAMED
from web.api.conversations.search import FiltersIn
from web.api.framework import fields
from web.api.framework.fields import Body, Id
from web.api.framework.problems import as_cairn_error, invalid_field
from web.api.schemas import Answer, Hit, answers_of, citations_of, versions_of
from web.http.authentication import needs, principal_of
from web.http.sse import event_stream, frame

router = Router(tags=["Ask"])


class Question(Body):
    """`knowledge_bases`: ids or slugs. Absent: all I may read; without unofficial ones if the installation
    excludes them (`UNOFFICIAL_KNOWLEDGE_BASES`). `conversation` continues one of mine; absent: a new one.
    `parent`: the message of it that this is asked after, null for none; absent: the one that it shows last.
    With the question of another message and its parent, the answer is another version of that one's; with
    another question it is a branch. `detached`: a stream that breaks does not stop the answer, which can be
    followed at `/messages/{id}/events`, and ends if nobody does so for a minute. `model` may name the one
    that is configured. `assistant`: id or slug of one that answers from those of its knowledge bases that I
    may read; a conversation keeps the assistant that it started with."""

    question: fields.Question
    knowledge_bases: Annotated[list[Id], Field(min_length=1, max_length=200)] | None = None
    filters: FiltersIn = FiltersIn()
    conversation: Id | None = None
    parent: Id | None = None
    assistant: Id | None = None
    model: Annotated[str, Field(max_length=200)] | None = None
    stream: fields.Flag = False
    pass_on: fields.Flag = Field(
        True, description="If the question is refused, the document owners can see it"
    )
    detached: fields.Flag = False
    background: fields.Flag = Field(False, description="Low priority: people's questions are answered first")
    profile: Profile | None = Field(
        None, description="Use the language model in this way for this question (administrators only)"
    )


@router.post(
    "",
    summary="Ask a question",
    response=Answer,
    auth=needs("ask"),
    openapi_extra={"responses": {200: STREAMED}},
)
async def ask(request: HttpRequest, payload: Question) -> Answer | StreamingHttpResponse:
    """Answers from passages you may read. Closing the connection early stops the model."""
    running = await sync_to_async(_start)(principal_of(request), payload)
    if payload.stream:
        return event_stream(stream_frames(running, _frames(running), _error_frame))
    return await wait_for_answer(running, lambda: _answer(running))


def _start(principal: Principal, payload: Question) -> RunningAnswer:
    if payload.model not in {None, "cairn"} and payload.model != get_engine().chat.name:
        raise invalid_field("body", "model", message=gettext_noop("There is no such model here."))
    profile = read_trial_profile(principal, payload.profile)
    return start_answer(
        principal,
        payload.question,
        lambda: ask_service.ask(
            principal=principal,
            question=payload.question,
            knowledge_bases=payload.filters.requested_knowledge_bases(principal, payload.knowledge_bases),
            filters=payload.filters.as_filters(principal),
            conversation=payload.conversation,
            parent=payload.parent if "parent" in payload.model_fields_set else ask_service.SHOWN,
            passes_on=payload.pass_on,
            background=payload.background,
            profile=profile,
            assistant=payload.assistant,
        ),
        detached=payload.detached and payload.stream,
    )


def _frames(running: RunningAnswer) -> Generator[bytes, None, None]:
    """Yield the frames of the events. Internal events, such as the stored answer, have none."""
    message, hits, versions = running.message, tuple[found.Hit, ...](), dict[UUID, DocumentVersion]()
    yield frame("start", {"id": str(message.id), "conversation": str(message.conversation_id)})
    for event in running.events:
        match event:
            case Sources():
                hits = event.hits
                yield frame("sources", [Hit.of(hit).model_dump() for hit in hits])
            case Prompted():
                versions = versions_of(hits)
            case Waiting():
                yield frame("waiting", {"position": event.position})
            case Delta():
                yield frame("delta", {"text": event.text})
            case Cited():
                cited = [event.citation]
                known = versions if event.citation.version in versions else versions_of(cited)
                for citation in citations_of(cited, known):
                    yield _frame("citation", citation)
    yield _frame("done", _answer(running))


def _frame(event: str, data: BaseModel) -> bytes:
    return frame(event, data.model_dump())


def _error_frame(error: Exception) -> bytes:
    return frame("error", as_cairn_error(error).problem())


def _answer(running: RunningAnswer) -> Answer:
    return answers_of([running.load_message()])[0]
