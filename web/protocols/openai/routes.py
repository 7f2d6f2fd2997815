"""`/v1/models` and `/v1/chat/completions`. A model is everything the key may read, one knowledge base, or an
assistant. Their slugs come from one set, so no two of them have the same name."""

import time
from collections.abc import Generator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from ninja import NinjaAPI

from cairn.access.permissions import knowledge_bases_for
from cairn.access.scope import Principal
from cairn.errors import NotFound
from cairn.library.models import KnowledgeBase
from retrieval.assistants.models import Assistant
from retrieval.assistants.selectors import assistant_named, assistants_offered_to
from retrieval.conversations import ask
from retrieval.types import Delta
from web.answer_stream import RunningAnswer, start_answer, stream_frames, wait_for_answer
from web.api.conversations.suggestions import examples_after, list_questions
from web.api.framework.problems import add_error_handlers, as_cairn_error
from web.api.framework.request_parser import StrictParser
from web.api.schemas import Answer, answers_of
from web.http.authentication import BearerKey, principal_of
from web.http.sse import event_stream
from web.protocols.openai.completions import DONE, Completion, content_of, error_chunk, turns_of
from web.protocols.openai.errors import error_data, error_response
from web.protocols.openai.schemas import ChatCompletion

EVERYTHING = "cairn"
PREFIX = f"{EVERYTHING}/"
SINCE = int(time.time())

api = NinjaAPI(
    title="Cairn for programs made for OpenAI",
    urls_namespace="openai",
    docs_url=None,
    openapi_url=None,
    auth=[BearerKey("ask")],
    parser=StrictParser(),
)
add_error_handlers(api, error_response)


@api.get("/models")
def models_list(request: HttpRequest) -> dict[str, Any]:
    principal = principal_of(request)
    bases = knowledge_bases_for(principal).order_by("created_at", "id")
    assistants = assistants_offered_to(principal).order_by("created_at", "id")
    models = [_model(EVERYTHING, SINCE), *map(_model_of, bases), *map(_model_of, assistants)]
    return {"object": "list", "data": models}


@api.get("/models/{path:model}")
def models_get(request: HttpRequest, model: str) -> dict[str, Any]:
    found = _find_model(principal_of(request), model)
    return _model_of(found) if found else _model(EVERYTHING, SINCE)


def _model_of(named: KnowledgeBase | Assistant) -> dict[str, Any]:
    return _model(f"{PREFIX}{named.slug}", int(named.created_at.timestamp()))


def _model(identity: str, created: int) -> dict[str, Any]:
    return {"id": identity, "object": "model", "created": created, "owned_by": "cairn"}


@api.post("/chat/completions")
async def chat_completions(
    request: HttpRequest, payload: ChatCompletion
) -> dict[str, Any] | StreamingHttpResponse:
    """Answer the last message; earlier ones give its context."""
    running = await sync_to_async(_start)(principal_of(request), payload)
    completion = Completion(
        identity=f"chatcmpl-{running.message.id}",
        created=int(time.time()),
        model=payload.model,
        origin=request.build_absolute_uri("/").rstrip("/"),
    )
    if payload.stream:
        chunks = _chunks(running, completion, with_usage=payload.with_usage)
        return event_stream(stream_frames(running, chunks, _error_chunk))
    return await wait_for_answer(running, lambda: completion.whole(_answer_with_examples(running)))


def _start(principal: Principal, payload: ChatCompletion) -> RunningAnswer:
    question, model = payload.question, _find_model(principal, payload.model)
    return start_answer(
        principal,
        question,
        lambda: ask.ask(
            principal=principal,
            question=question,
            knowledge_bases=[model.id] if isinstance(model, KnowledgeBase) else None,
            assistant=model.id if isinstance(model, Assistant) else None,
            history=turns_of(payload.messages),
            max_tokens=payload.most_tokens,
        ),
    )


def _find_model(principal: Principal, model: str) -> KnowledgeBase | Assistant | None:
    """Return the knowledge base or assistant of a model, None for all that the principal may read. Raises
    NotFound if missing or not visible."""
    if model == EVERYTHING:
        return None
    slug = model.removeprefix(PREFIX)
    try:
        if slug == model:
            raise NotFound
        base = knowledge_bases_for(principal).filter(slug=slug).first()
        return base or assistant_named(principal, slug)
    except NotFound as error:
        message = f"There is no such model, or you may not ask it. Ask “{EVERYTHING}”, or see /v1/models."
        raise NotFound(message, code="model_not_found") from error


def _chunks(
    running: RunningAnswer, completion: Completion, *, with_usage: bool
) -> Generator[bytes, None, None]:
    yield completion.first()
    wrote = False
    for event in running.events:
        if isinstance(event, Delta):
            wrote = True
            yield completion.text(event.text)
    answer = _answer(running)
    if not wrote:
        yield completion.text(content_of(answer))
    if examples := _examples(running, answer):
        yield completion.text(examples)
    yield completion.last(answer)
    if with_usage:
        yield completion.usage(answer)
    yield DONE


def _answer_with_examples(running: RunningAnswer) -> Answer:
    answer = _answer(running)
    return answer.model_copy(update={"answer": answer.answer + _examples(running, answer)})


def _examples(running: RunningAnswer, answer: Answer) -> str:
    """Return what follows a reply to small talk, as Markdown; empty for any answer."""
    return list_questions(examples_after(answer, running.load_message(), running.principal))


def _error_chunk(error: Exception) -> bytes:
    return error_chunk(error_data(as_cairn_error(error)))


def _answer(running: RunningAnswer) -> Answer:
    return answers_of([running.load_message()])[0]
