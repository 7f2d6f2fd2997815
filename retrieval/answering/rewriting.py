"""Makes a question stand by itself with a chat model. What the model writes is checked before it is used.

It must keep all that is asked, and may add nothing but what was asked before. Answers are not shown to it:
they quote documents, which would then speak through the question, and stay in it when they are gone.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from llama_index.core.llms import ChatMessage, MessageRole

from cairn.errors import CairnError
from cairn.text import visible
from retrieval.answering.lexicon import language_of
from retrieval.answering.names import unsupported_names
from retrieval.answering.parts import MOST_PARTS, Part
from retrieval.answering.prompting import FENCE, load_texts, neutral
from retrieval.answering.protocols import ChatModel
from retrieval.answering.quantities import unsupported_figures
from retrieval.answering.standalone import LONGEST
from retrieval.answering.terms import content_stems, covered
from retrieval.types import Turn

VERSION = "standalone-1"
SECONDS = 6.0
MAX_TOKENS = 160
TURNS = 3
QUESTION_CHARACTERS = 500  # of each earlier turn
LONGER = 25  # words that may be added
FROM_BEFORE = 0.7  # share of the added content words that the conversation holds
_SEVERAL = re.compile(r"[;,]|\b(?:and|und|sowie|as well as)\b", re.IGNORECASE)
LEAST_WORDS = 8  # of a question without a conversation that may ask several things
_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s+")
_LABEL = re.compile(r"^(?:(?:standalone |rewritten |last )?question|frage)\s*:\s*", re.IGNORECASE)
_POLITE = frozenset({"pleas", "thank", "hello", "hi", "okay", "ok", "bitt", "dank", "hallo", "well"})
_QUOTES = "\"'“”„»«` "


def is_worth_it(question: str, parts: Sequence[Part], history: Sequence[Turn]) -> bool:
    """There is something to lean on, or something that the rules may not have told apart."""
    several = len(parts) == 1 and len(question.split()) >= LEAST_WORDS and _SEVERAL.search(question)
    return bool(history or several)


def rewritten(
    question: str,
    history: Sequence[Turn],
    chat: ChatModel,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    seconds: float = SECONDS,
) -> tuple[str, ...]:
    """One question, or several if it asks several things. Empty where the model's would not do, does not come
    in time or at all."""
    try:
        said = _said(chat, _messages(question, history[-TURNS:]), seconds, cancelled)
    except CairnError:  # whoever is answered next will meet it again, and tell
        return ()
    lines = _lines(said)
    return lines if is_faithful(lines, question, history[-TURNS:]) else ()


def is_faithful(lines: Sequence[str], question: str, history: Sequence[Turn]) -> bool:
    """Keeps every content word of the question, and adds hardly any, no name and no figure from elsewhere."""
    text = " ".join(lines)
    before = " ".join(turn.question for turn in history)
    if not 1 <= len(lines) <= MOST_PARTS or len(text) > LONGEST or any(line.count("?") > 1 for line in lines):
        return False
    if len(text.split()) > len(question.split()) * max(1, len(lines)) + LONGER:
        return False
    return (
        _in_its_language(text, question, history)
        and _keeps(lines, question)
        and _adds(text, question, before)
    )


def _in_its_language(text: str, question: str, history: Sequence[Turn]) -> bool:
    """A follow-up of a word or two may not show its language: then it is that of the question before."""
    spoken = {language_of(question), *(language_of(turn.question) for turn in history[-1:])}
    return language_of(text) in spoken


def _keeps(lines: Sequence[str], question: str) -> bool:
    language = language_of(" ".join(lines))
    asked = content_stems(question, language) - _POLITE
    each = [content_stems(line, language) for line in lines]
    whole = frozenset[str]().union(*each)
    return bool(whole) and asked <= whole and (len(lines) == 1 or all(stems & asked for stems in each))


def _adds(text: str, question: str, before: str) -> bool:
    language = language_of(text)
    known = f"{before} {question}"
    if unsupported_figures(text, known) or unsupported_names(text, known, language):
        return False
    added = content_stems(text, language) - content_stems(question, language)
    return not added or covered(added, content_stems(before, language)) >= FROM_BEFORE


def _messages(question: str, history: Sequence[Turn]) -> list[ChatMessage]:
    system, user = load_texts(VERSION)
    turns = "\n".join(_plain(turn.question)[:QUESTION_CHARACTERS] for turn in history) or "(none)"
    fenced = {"turns": turns, "question": _plain(question)}
    content = user.substitute({name: f"{FENCE}\n{text}\n{FENCE}" for name, text in fenced.items()})
    return [
        ChatMessage(role=MessageRole.SYSTEM, content=system),
        ChatMessage(role=MessageRole.USER, content=content),
    ]


def _plain(text: str) -> str:
    return " ".join(neutral(text).split())


def _said(
    chat: ChatModel, messages: Sequence[ChatMessage], seconds: float, cancelled: Callable[[], bool]
) -> str:
    """What was written within the time; empty if it was not finished by then."""
    began, pieces = time.monotonic(), list[str]()
    stream = chat.stream(messages, max_tokens=MAX_TOKENS)
    with _closed_after(seconds, getattr(stream, "close", lambda: None)):
        for piece in stream:
            pieces.append(piece)
            if time.monotonic() - began > seconds or cancelled():
                break
    return "".join(pieces) if time.monotonic() - began <= seconds else ""


@contextmanager
def _closed_after(seconds: float, close: Callable[[], None]) -> Iterator[None]:
    """Frees whoever waits for a piece that does not come, and ends the generation whichever way this ends."""
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


def _lines(said: str) -> tuple[str, ...]:
    """Without bullets, labels and quotation marks around them."""
    lines = (_LABEL.sub("", _BULLET.sub("", line)).strip(_QUOTES) for line in visible(said).splitlines())
    return tuple(" ".join(line.split()) for line in lines if line)
