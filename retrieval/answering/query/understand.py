"""Query understanding: a self-contained question and its parts, rewritten by a model if one is good
enough."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cairn.hidden_characters import visible
from retrieval.answering.protocols import ChatModel
from retrieval.answering.query.decompose import SubQuestion, split_question
from retrieval.answering.query.rewrite import VERSION, rewrite_question, should_rewrite
from retrieval.types import Turn

MAX_QUESTION_CHARACTERS = 4000  # characters


@dataclass(frozen=True, slots=True)
class QueryUnderstanding:
    """`standalone` is empty for an empty question. `version`: of the prompt, if a model rewrote it."""

    standalone: str
    parts: tuple[SubQuestion, ...]
    version: str = ""


def understand(
    question: str,
    history: Sequence[Turn],
    chat: ChatModel | None,
    cancelled: Callable[[], bool] = lambda: False,
) -> QueryUnderstanding:
    """Understand a question. Without `chat`, or if its rewriting is unusable, the rules decide."""
    typed = visible(question[:MAX_QUESTION_CHARACTERS])
    parts = split_question(typed, history)
    if parts[0].joined:  # the search results decide whether it is a follow-up, so a model needn't rewrite it
        return QueryUnderstanding(parts[0].query, parts)
    asks = chat is not None and bool(typed.strip()) and should_rewrite(typed, parts, history)
    if asks and chat and (lines := rewrite_question(typed, history, chat, cancelled)):
        own = tuple(SubQuestion(line, line) for line in lines) if len(lines) > 1 else split_question(lines[0])
        return QueryUnderstanding(" ".join(lines), own, VERSION)
    if len(parts) == 1:
        return QueryUnderstanding(parts[0].query, parts)
    return QueryUnderstanding(_standalone_text(typed, parts), parts)


def _standalone_text(typed: str, parts: Sequence[SubQuestion]) -> str:
    """Return the text as typed, after the context of its first part."""
    first = parts[0]
    lead = first.query.removesuffix(first.text) if first.query.endswith(first.text) else ""
    return " ".join(f"{lead}{typed}".split())
