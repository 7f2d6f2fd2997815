"""The ask service: answers a question within the principal's scope and stores it in their conversation."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.scope import Principal, Scope
from cairn.access.selectors import get_or_not_found, scope_for
from cairn.answers import Grounding
from cairn.audit.services import record
from cairn.db_connections import connections_release
from cairn.errors import InvalidInput, Unavailable, error_coded
from cairn.inference.embedding.cache import CachingEmbedder
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import environment
from cairn.settings.env import PACKAGED_RERANKER
from cairn.telemetry.context import current_ids
from cairn.telemetry.span_attributes import SESSION, SpanKind
from cairn.telemetry.tracing import PausableStep
from retrieval.answering import answer
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.generation.declined import build_declined_events
from retrieval.answering.generation.pipeline import build_generation_context
from retrieval.answering.protocols import Decline
from retrieval.answering.query.intents import IntentRequest
from retrieval.assistants.models import Assistant
from retrieval.assistants.selectors import assistant_scope
from retrieval.conversations.ab_tests.services import enter_ab_test
from retrieval.conversations.answer_models import (
    answer_profile,
    answer_reranker_name,
    answerability_of,
    evidence_budget,
)
from retrieval.conversations.answer_recorder import AnswerRecorder
from retrieval.conversations.assistants import choose_assistant, lock_assistant
from retrieval.conversations.branches import Tree
from retrieval.conversations.files import include_files, replace_file_names
from retrieval.conversations.model_routing import route_chat
from retrieval.conversations.services import (
    INTERRUPTED,
    cited_document,
    conversation_confine,
    conversation_follow_edit,
    conversation_for,
    conversation_prolong,
    conversation_retitle_after_small_talk,
    conversation_start,
    history_for,
    message_for,
    turns_with_subject,
)
from retrieval.conversations.small_talk import (
    SmallTalkReply,
    build_reply_columns,
    is_small_talk,
    small_talk_in,
)
from retrieval.conversations.usage_policy.services import load_decliner
from retrieval.engine import Engine, get_engine, in_background
from retrieval.gaps.verified_lookup import find_verified_answers
from retrieval.index.protocol import Filters
from retrieval.intents.composer import IntentContext, SearchPassages
from retrieval.intents.dispatch import answer_by_intent
from retrieval.models import Channel, Conversation, Message, MessageState
from retrieval.passages.locations import locate_quote
from retrieval.search.answer_search import search_for_answer
from retrieval.search.hybrid_search import load_passage
from retrieval.search.spelling import SpellingScope, find_spelling_corrections
from retrieval.statistics.services import question_statistics_update
from retrieval.types import Answer, AnswerEvent, AnswerProfile, Done, Failed, Hit, Turn

log = logging.getLogger(__name__)

EVIDENCE_HITS = 8
STOP_CHECK_SECONDS = 0.5
NO_FILTERS = Filters()
SHOWN: Final = object()
"""Default parent: the message that the conversation shows last."""


@dataclass(frozen=True, slots=True)
class PendingAnswer:
    """A message and its events, which block and raise the error of an answer that failed. Closing them stops
    the model. The message's row follows the events."""

    message: Message
    events: AnswerRecorder | SmallTalkReply


def ask(
    *,
    principal: Principal,
    question: str,
    knowledge_bases: Collection[object] | None = None,
    filters: Filters = NO_FILTERS,
    conversation: object | None = None,
    parent: object | None = SHOWN,
    history: Sequence[Turn] | None = None,
    max_tokens: int | None = None,
    passes_on: bool = True,
    background: bool = False,
    profile: AnswerProfile | None = None,
    assistant: object | None = None,
) -> PendingAnswer:
    """Store a question and start answering it.

    `parent`: the previous message, None for none. `history`: earlier turns sent by a program; such a
    conversation is not shown in the chat. `max_tokens`: limit of the answer, if lower than usual.
    `passes_on`: a refusal may be reported to the owners of the documents. `background`: nobody waits, so the
    model answers people first. `profile`: how the model is used, if not as usual. `assistant`: id or slug of
    the one that answers; a conversation keeps its own.
    """
    if not question.strip():
        raise InvalidInput(gettext_noop("The question is empty."))
    current = _find_conversation(principal, conversation, parent)
    chosen = choose_assistant(principal, current, assistant)
    scope = assistant_scope(principal, chosen, knowledge_bases)
    scope, filters = include_files(question, current, scope, filters)
    message = _store_question(principal, scope, question, conversation, parent, history, assistant=chosen)
    if is_small_talk(message):
        return PendingAnswer(message, SmallTalkReply(message, principal))
    engine = get_engine()
    thread = message.conversation
    turns = (
        history_for(thread, message.parent_id, principal) if history is None else turns_with_subject(history)
    )
    most = min(filter(None, (max_tokens, environment().answer_max_tokens)))
    entry = None if background or profile or history is not None else enter_ab_test(principal)
    chat = in_background(engine.chat) if background else engine.chat
    routed = replace(engine, chat=route_chat(chat, message, scope, sent_by_program=bool(history)))
    answering = entry.choose_engine(routed) if entry else routed
    events = _events(
        message, scope, filters, answering, history=turns, max_tokens=most, profile=profile, assistant=chosen
    )
    recorder = _start_recording(
        message, scope, events, engine, passes_on=passes_on, assistant=chosen, ab_test=entry
    )
    return PendingAnswer(message, recorder)


def _start_recording(
    message: Message, scope: Scope, events: Iterator[AnswerEvent], engine: Engine, **options: Any
) -> AnswerRecorder:
    thread = message.conversation
    # Made here, where the request is known: another thread will ask for the events.
    step = PausableStep("answer", SpanKind.CHAIN, {"answer_id": str(message.id), SESSION: str(thread.id)})
    bound = {**current_ids(), "answer_id": message.id}
    return AnswerRecorder(message, scope, events, engine, step=step, ids=bound, **options)


def _store_question(
    principal: Principal,
    scope: Scope,
    question: str,
    conversation: object | None,
    parent: object | None,
    history: Sequence[Turn] | None,
    *,
    assistant: Assistant | None,
) -> Message:
    """Store a question as a message without an answer, and record that it was asked."""
    channel = Channel.CHAT if history is None else Channel.API
    talk = small_talk_in(question)
    reply = build_reply_columns(talk, scope) if talk else {}
    with transaction.atomic():
        if assistant is not None:
            lock_assistant(assistant)
        found = _place(principal, conversation, parent)
        thread, after = found or (
            conversation_start(principal=principal, question=question, channel=channel),
            None,
        )
        is_new = not thread.messages.exists()
        if found:
            _update_for_question(thread, after, question, is_talk=bool(talk))
        message = Message.objects.create(conversation=thread, parent_id=after, question=question, **reply)
        Conversation.objects.filter(pk=thread.pk).update(
            updated_at=timezone.now(), current=message, **_assistant_columns(assistant)
        )
        conversation_confine(conversation=thread, scope=scope, is_new=is_new)
        record(
            "question.asked",
            actor=principal.actor,
            subject=f"message:{message.id}",
            conversation=str(thread.id),
            knowledge_bases=_audit_knowledge_bases(scope),
            **({"assistant": str(assistant.id)} if assistant else {}),
        )
    return message


def _update_for_question(
    conversation: Conversation, after: UUID | None, question: str, *, is_talk: bool
) -> None:
    """Update title and expiry of an existing conversation before a question is added to it."""
    if after is None:
        conversation_follow_edit(conversation=conversation, question=question)
    elif not is_talk:
        conversation_retitle_after_small_talk(conversation=conversation, question=question)
    if conversation.expires_at:
        conversation_prolong(conversation=conversation)


def _assistant_columns(assistant: Assistant | None) -> dict[str, object]:
    return {"assistant": assistant, "assistant_name": assistant.name} if assistant else {}


def answer_again(
    *,
    principal: Principal,
    question: str,
    knowledge_bases: Collection[object] | None,
    filters: Filters = NO_FILTERS,
    cancelled: Callable[[], bool] = lambda: False,
) -> Answer:
    """Answer the question with the principal's current access, without storing anything, and without any of
    their conversations. People who wait for the model come first. `cancelled` stops it."""
    scope = scope_for(principal, knowledge_bases)
    return answer_unstored(
        question, scope=scope, engine=get_engine(), filters=filters, cancelled=cancelled, for_person=True
    )


def answer_unstored(
    question: str,
    *,
    scope: Scope,
    engine: Engine,
    filters: Filters = NO_FILTERS,
    history: Sequence[Turn] = (),
    cancelled: Callable[[], bool] = lambda: False,
    for_person: bool = False,
) -> Answer:
    """Answer the question without storing anything. People who wait for the model come first.

    `for_person`: the usage policy applies, and passages are quoted if the model is unavailable. Tests of
    models are without both: they raise Unavailable.
    """
    message = Message(question=question)
    chat = route_chat(in_background(engine.chat), message, scope, sent_by_program=bool(history))
    engine = replace(engine, chat=chat)
    most = environment().answer_max_tokens
    turns = list(history)
    events = _events(
        message,
        scope,
        filters,
        engine,
        history=turns,
        max_tokens=most,
        cancelled=cancelled,
        declines=for_person,
    )
    for event in events:
        match event:
            case _ if cancelled():
                break
            case Done(answer=found) if found.failure and not for_person:
                raise found.failure
            case Done():
                return event.answer
            case Failed():
                raise error_coded(event.code, event.message)
    raise Unavailable(INTERRUPTED)


def _place(
    principal: Principal, conversation: object | None, parent: object | None
) -> tuple[Conversation, UUID | None] | None:
    """Return the conversation to continue and the parent, None for a new one. Raises NotFound."""
    thread = _find_conversation(principal, conversation, parent)
    if thread is None:
        return None
    if parent is SHOWN:
        return thread, Tree(thread).current
    return thread, None if parent is None else get_or_not_found(thread.messages.all(), parent).id


def _find_conversation(
    principal: Principal, conversation: object | None, parent: object | None
) -> Conversation | None:
    """Return the conversation to continue, None for a new one. Raises NotFound."""
    if conversation is not None:
        return conversation_for(principal, conversation)
    return None if parent is None or parent is SHOWN else message_for(principal, parent).conversation


def _audit_knowledge_bases(scope: Scope) -> list[str] | None:
    """Return the ids for the audit event; None for all readable ones, which can be thousands."""
    return None if scope.whole else sorted(map(str, scope.readable))


def stop(message: Message) -> bool:
    """Stop a running answer, in whichever process it runs; return whether it was running."""
    running = Message.objects.running().filter(pk=message.pk)
    return bool(running.update(state=MessageState.STOPPED))


def answer_interrupt(message: Message) -> bool:
    """Interrupt an answer of this process, which is shutting down; return whether it was running. Its text
    follows."""
    running = Message.objects.running().filter(pk=message.pk)
    return bool(running.update(state=MessageState.FAILED, reason=INTERRUPTED))


def answers_interrupt(*, silent_for: timedelta = timedelta(0)) -> int:
    """Interrupt running answers without a heartbeat for `silent_for`, by default all; return how many."""
    silent = Message.objects.running().filter(alive_at__lte=timezone.now() - silent_for)
    return sum(_mark_interrupted(message) for message in silent)


def _mark_interrupted(message: Message) -> bool:
    same = Message.objects.running().filter(pk=message.pk, alive_at=message.alive_at)
    with transaction.atomic():
        ended = same.update(state=MessageState.FAILED, reason=INTERRUPTED)
        if ended:
            found = Document.objects.filter(pk__in={hit["document"] for hit in message.trace.get("hits", ())})
            found = found.filter(knowledge_base__conversation=None)
            bases = frozenset(found.values_list("knowledge_base_id", flat=True))
            question_statistics_update(message=message.pk, bases=bases)
    return bool(ended)


def _events(
    message: Message,
    scope: Scope,
    filters: Filters,
    engine: Engine,
    *,
    history: list[Turn],
    max_tokens: int,
    cancelled: Callable[[], bool] | None = None,
    profile: AnswerProfile | None = None,
    assistant: Assistant | None = None,
    declines: bool = True,
) -> Iterator[AnswerEvent]:
    """Return the events of an answer. The usage policy applies here because every answer starts here."""
    decline: Decline = load_decliner() if declines else lambda _: None
    if declined := decline([message.question]):
        return iter(build_declined_events(message.question, message.question, declined))
    # One for all steps: search and judge embed the same question, judge and writer the same blocks.
    finding = replace(engine.for_answers(), embedder=CachingEmbedder(engine.embedder))
    profile = profile or answer_profile(writes=engine.writes_answers, settings=engine.candidate)
    budget = evidence_budget(engine.chat, max_tokens, profile)
    # Below the rules of the answer's prompt, and nowhere else: what judges and checks never sees them.
    instructed = replace(budget, instructions=assistant.instructions) if assistant else budget
    settings = {
        **_generation_settings(scope, finding, instructed, writes=profile.writes),
        "cancelled": cancelled or _build_stop_check(message),
    }
    question = replace_file_names(message.question, scope)
    find_verified = partial(find_verified_answers, scope=scope, filters=filters)
    correct_spelling = partial(find_spelling_corrections, within=SpellingScope(scope, filters, finding))
    return answer_by_intent(
        message.question,
        build_context=lambda request: _build_intent_context(
            request, message, scope, filters, finding, settings
        ),
        find_verified=find_verified,
        answer_question=lambda: answer(
            question,
            search=_search_function(question, scope, filters, finding),
            history=history,
            answerability=answerability_of(finding, budget if profile.judges else None),
            rewrites=engine.settings.rewrites_questions,
            decline=decline,
            find_verified=find_verified,
            correct_spelling=correct_spelling,
            **settings,
        ),
    )


def _build_intent_context(
    request: IntentRequest,
    message: Message,
    scope: Scope,
    filters: Filters,
    finding: Engine,
    settings: dict[str, Any],
) -> IntentContext:
    return IntentContext(
        message.question,
        request,
        scope,
        filters,
        search=_search_function(message.question, scope, filters, replace(finding, reranker=None)),
        answer_search=_search_function(message.question, scope, filters, finding),
        index=finding.index,
        generation=build_generation_context(message.question, **settings),
        judge=answerability_of(finding).judge,
        cited=lambda position: cited_document(message, position),
    )


def _search_function(question: str, scope: Scope, filters: Filters, engine: Engine) -> SearchPassages:
    def find(query: str, limit: int = EVIDENCE_HITS) -> list[Hit]:
        return search_for_answer(
            query, scope=scope, filters=filters, limit=limit, engine=engine, question=question
        )

    return find


def _generation_settings(
    scope: Scope, finding: Engine, budget: EvidenceBudget, *, writes: bool
) -> dict[str, Any]:
    """Return what every message is answered with. `finding`: the engine that searches."""
    return {
        "chat": finding.chat,
        "embedder": finding.embedder,
        "grounding": _grounding(scope),
        "locate": locate_quote,
        "evidence": budget,
        "inference": finding.inference,
        "writes": writes,
        "load_passage": partial(load_passage, scope),
        "selects": not finding.settings.has_packaged_chat_model,
        "reranker": finding.reranker if answer_reranker_name() == PACKAGED_RERANKER else None,
    }


def _grounding(scope: Scope) -> str:
    """Return the strictest grounding of the knowledge bases. Files of a conversation follow the others."""
    bases = KnowledgeBase.objects.filter(id__in=scope.readable - scope.attached or scope.readable)
    groundings = set(bases.order_by().values_list("grounding", flat=True).distinct())
    return Grounding.FLAG if groundings == {Grounding.FLAG} else Grounding.STRICT


def _build_stop_check(message: Message) -> Callable[[], bool]:
    """Return a function that checks the table from time to time: another process may stop the answer."""
    running = Message.objects.running().filter(pk=message.pk)
    state = {"looked": time.monotonic(), "stopped": False}

    def look() -> bool:
        if not state["stopped"] and time.monotonic() - state["looked"] > STOP_CHECK_SECONDS:
            state["looked"], state["stopped"] = time.monotonic(), not running.exists()
            connections_release()
        return bool(state["stopped"])

    return look
