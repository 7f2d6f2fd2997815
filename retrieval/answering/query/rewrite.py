"""Rewrites a question with a chat model to make it self-contained. The result is checked before use.

It must contain everything that is asked, and add nothing but what was asked before. The model does not see
answers: they quote documents, which would then influence the question, and remain in it when they are
deleted.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from llama_index.core.llms import ChatMessage, MessageRole

from cairn.errors import CairnError
from cairn.hidden_characters import visible
from cairn.inference.chat.prompt_messages import PromptMessages
from cairn.telemetry.span_attributes import SpanKind, chat_attributes
from cairn.telemetry.tracing import step
from retrieval.answering.grounding.names import unsupported_names
from retrieval.answering.grounding.quantities import unsupported_figures
from retrieval.answering.prompts.prompt import FENCE, load_texts, neutralize
from retrieval.answering.protocols import ChatModel
from retrieval.answering.query.decompose import MAX_PARTS, SubQuestion
from retrieval.answering.query.standalone import MAX_CHARACTERS
from retrieval.answering.text.lexicon import language_of
from retrieval.answering.text.terms import content_stems, coverage
from retrieval.types import Turn

VERSION = "standalone-1"
TIMEOUT_SECONDS = 6.0
MAX_TOKENS = 160
MAX_TURNS = 3
MAX_TURN_CHARACTERS = 500  # of each earlier turn
MAX_ADDED_WORDS = 25  # words that may be added
MIN_KNOWN_SHARE = 0.7  # share of the added content words that occur in the conversation
_SEVERAL = re.compile(r"[;,]|\b(?:and|und|sowie|as well as)\b", re.IGNORECASE)
MIN_COMPOUND_WORDS = 8  # of a question without a conversation that may ask several things
_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s+")
_LABEL = re.compile(r"^(?:(?:standalone |rewritten |last )?question|frage)\s*:\s*", re.IGNORECASE)
_POLITE = frozenset({"pleas", "thank", "hello", "hi", "okay", "ok", "bitt", "dank", "hallo", "well"})
_QUOTES = "\"'“”„»«` "


def should_rewrite(question: str, parts: Sequence[SubQuestion], history: Sequence[Turn]) -> bool:
    """Return whether there is a conversation to refer to, or a compound question that the rules may not have
    split."""
    several = len(parts) == 1 and len(question.split()) >= MIN_COMPOUND_WORDS and _SEVERAL.search(question)
    return bool(history or several)


def rewrite_question(
    question: str,
    history: Sequence[Turn],
    chat: ChatModel,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    seconds: float = TIMEOUT_SECONDS,
) -> tuple[str, ...]:
    """Return one question, or several for a compound one; empty if the model's is unusable, late or
    missing."""
    try:
        reply = _read_reply(chat, _messages(question, history[-MAX_TURNS:]), seconds, cancelled)
    except CairnError:  # the answer meets the same error again, and reports it
        return ()
    lines = _lines(reply)
    return lines if is_faithful(lines, question, history[-MAX_TURNS:]) else ()


def is_faithful(lines: Sequence[str], question: str, history: Sequence[Turn]) -> bool:
    """Return whether it has every content word of the question, and adds few words and no new name or
    figure."""
    text = " ".join(lines)
    before = " ".join(turn.question for turn in history)
    if (
        not 1 <= len(lines) <= MAX_PARTS
        or len(text) > MAX_CHARACTERS
        or any(line.count("?") > 1 for line in lines)
    ):
        return False
    if len(text.split()) > len(question.split()) * max(1, len(lines)) + MAX_ADDED_WORDS:
        return False
    return (
        _in_its_language(text, question, history)
        and _preserves_question(lines, question)
        and _adds_only_known(text, question, before)
    )


def _in_its_language(text: str, question: str, history: Sequence[Turn]) -> bool:
    """Return whether the language is right. A follow-up of a word or two may not show its own: then the
    previous question's counts."""
    spoken = {language_of(question), *(language_of(turn.question) for turn in history[-1:])}
    return language_of(text) in spoken


def _preserves_question(lines: Sequence[str], question: str) -> bool:
    language = language_of(" ".join(lines))
    asked = content_stems(question, language) - _POLITE
    each = [content_stems(line, language) for line in lines]
    whole = frozenset[str]().union(*each)
    return bool(whole) and asked <= whole and (len(lines) == 1 or all(stems & asked for stems in each))


def _adds_only_known(text: str, question: str, before: str) -> bool:
    language = language_of(text)
    known = f"{before} {question}"
    if unsupported_figures(text, known) or unsupported_names(text, known, language):
        return False
    added = content_stems(text, language) - content_stems(question, language)
    return not added or coverage(added, content_stems(before, language)) >= MIN_KNOWN_SHARE


def _messages(question: str, history: Sequence[Turn]) -> PromptMessages:
    system, user = load_texts(VERSION)
    turns = "\n".join(_plain(turn.question)[:MAX_TURN_CHARACTERS] for turn in history) or "(none)"
    fenced = {"turns": turns, "question": _plain(question)}
    content = user.substitute({name: f"{FENCE}\n{text}\n{FENCE}" for name, text in fenced.items()})
    return PromptMessages(
        [
            ChatMessage(role=MessageRole.SYSTEM, content=system),
            ChatMessage(role=MessageRole.USER, content=content),
        ]
    )


def _plain(text: str) -> str:
    return " ".join(neutralize(text).split())


def _read_reply(
    chat: ChatModel, messages: Sequence[ChatMessage], seconds: float, cancelled: Callable[[], bool]
) -> str:
    """Return the reply, empty if it was not complete in time."""
    began, pieces = time.monotonic(), list[str]()
    stream = chat.stream(messages, max_tokens=MAX_TOKENS)
    with (
        step("rewrite question", kind=SpanKind.LLM, attributes=chat_attributes(chat.name)),
        _close_after(seconds, getattr(stream, "close", lambda: None)),
    ):
        for piece in stream:
            pieces.append(piece)
            if time.monotonic() - began > seconds or cancelled():
                break
    return "".join(pieces) if time.monotonic() - began <= seconds else ""


@contextmanager
def _close_after(seconds: float, close: Callable[[], None]) -> Iterator[None]:
    """Close the stream after a timeout, which unblocks its reader, and at the end in any case."""
    timer = threading.Timer(seconds, _close, [close])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        close()


def _close(close: Callable[[], None]) -> None:
    with suppress(ValueError):  # a generator cannot be closed while it runs; its reader looks at the clock
        close()


def _lines(reply: str) -> tuple[str, ...]:
    """Return the lines without bullets, labels and quotation marks."""
    lines = (_LABEL.sub("", _BULLET.sub("", line)).strip(_QUOTES) for line in visible(reply).splitlines())
    return tuple(" ".join(line.split()) for line in lines if line)
