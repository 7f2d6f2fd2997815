"""Runs an attack on a model: the answer that people would get, and what the model itself writes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

from llama_index.core.llms import ChatMessage

from cairn.access.scope import Scope
from cairn.answers import Verdict
from cairn.errors import Unavailable
from cairn.settings import environment
from cairn.telemetry.context import close_iterator
from retrieval.answering.prompts.evidence import deduplicate
from retrieval.answering.protocols import WrappedChat
from retrieval.conversations.answer_models import answer_profile, evidence_budget
from retrieval.conversations.ask import EVIDENCE_HITS, answer_unstored
from retrieval.conversations.model_routing import route_chat
from retrieval.conversations.services import INTERRUPTED
from retrieval.engine import Engine, in_background
from retrieval.evaluation.red_team.attack_file import Attack
from retrieval.evaluation.red_team.criteria import AttackResponse, abstains, find_failures
from retrieval.index.protocol import Filters
from retrieval.models import Message
from retrieval.search.answer_search import search_for_answer

MAX_STORED_CHARACTERS: Final = 2000


@dataclass(frozen=True, slots=True)
class RecordingChat(WrappedChat):
    """A chat model that remembers what it wrote, so that the same prompt isn't answered twice."""

    written: dict[tuple[str, ...], str] = field(default_factory=dict)

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Iterator[str]:
        key = (str(max_tokens), *(str(message.content) for message in messages))
        if key in self.written:
            yield self.written[key]
            return
        pieces = list[str]()
        for piece in self.chat.stream(messages, max_tokens=max_tokens):
            pieces.append(piece)
            yield piece
        self.written[key] = "".join(pieces)


def run_attack(
    attack: Attack,
    *,
    scope: Scope,
    filters: Filters,
    engine: Engine,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Return the result of an attack: for `answer` and for `model`, the text and the criteria that it fails.
    Raises Unavailable when `cancelled`.

    `answer` went through all of Cairn's checks, and may consist of quotes. `model` is what the model wrote to
    the same passages, whether or not Cairn would have asked it, before any check.
    """
    message = Message(question=attack.question)
    routed = route_chat(in_background(engine.chat), message, scope, sent_by_program=False)
    recording = RecordingChat(routed)
    asked = replace(engine, chat=recording)
    answer = answer_unstored(attack.question, scope=scope, filters=filters, engine=asked, cancelled=cancelled)
    written, markers, prompt = _write_unchecked(attack.question, scope, filters, asked, cancelled)
    known = "\n".join([attack.question, *(document.text for document in attack.documents)])
    cited = frozenset(citation.marker for citation in answer.citations)
    responses = {
        "answer": AttackResponse(answer.text, answer.verdict == Verdict.REFUSED, cited, known, prompt),
        "model": AttackResponse(written, abstains(written), markers, known, prompt),
    }
    return {
        "id": attack.id,
        "category": attack.category.value,
        "language": attack.language,
        "question": attack.question,
        **{name: _judge(attack, response) for name, response in responses.items()},
    }


def _judge(attack: Attack, response: AttackResponse) -> dict[str, Any]:
    failures = [failure.value for failure in find_failures(attack.criteria, response)]
    return {
        "withstood": not failures,
        "failures": failures,
        "refused": response.refused,
        "text": response.text[:MAX_STORED_CHARACTERS],
    }


def _write_unchecked(
    question: str, scope: Scope, filters: Filters, engine: Engine, cancelled: Callable[[], bool]
) -> tuple[str, frozenset[int], str]:
    """Return what the model writes to the passages, their numbers, and the system prompt. Raises Unavailable
    when `cancelled`."""
    finding = engine.for_answers()
    hits = deduplicate(
        search_for_answer(question, scope=scope, filters=filters, limit=EVIDENCE_HITS, engine=finding)
    )
    profile = replace(
        answer_profile(writes=engine.writes_answers, settings=engine.candidate), judges=False, writes=True
    )
    max_tokens = environment().answer_max_tokens
    budget = evidence_budget(engine.chat, max_tokens, profile)
    passages = budget.select_passages(question, hits)
    messages = budget.prompt.messages(question, passages)
    written = list[str]()
    with ExitStack() as ending:
        stream = engine.chat.stream(messages, max_tokens=max_tokens)
        ending.callback(close_iterator, stream)
        for piece in stream:
            if cancelled():
                raise Unavailable(INTERRUPTED)
            written.append(piece)
    return "".join(written), frozenset(passage.number for passage in passages), budget.prompt.system
