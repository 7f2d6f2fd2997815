"""What is asked: a question that stands by itself, in its parts, by a model where one is fit for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cairn.text import visible
from retrieval.answering.parts import Part, parts_of
from retrieval.answering.protocols import ChatModel
from retrieval.answering.rewriting import VERSION, is_worth_it, rewritten
from retrieval.types import Turn

LONGEST_QUESTION = 4000  # characters


@dataclass(frozen=True, slots=True)
class Understood:
    """`standalone` is empty for an empty question. `version`: of the prompt, if a model rewrote it."""

    standalone: str
    parts: tuple[Part, ...]
    version: str = ""


def understand(
    question: str,
    history: Sequence[Turn],
    chat: ChatModel | None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Understood:
    """`chat`: rewrites; without one, or where its rewriting does not do, the rules decide."""
    typed = visible(question[:LONGEST_QUESTION])
    parts = parts_of(typed, history)
    asks = chat is not None and bool(typed.strip()) and is_worth_it(typed, parts, history)
    if asks and chat and (lines := rewritten(typed, history, chat, cancelled)):
        own = tuple(Part(line, line) for line in lines) if len(lines) > 1 else parts_of(lines[0])
        return Understood(" ".join(lines), own, VERSION)
    if len(parts) == 1:
        return Understood(parts[0].query, parts)
    return Understood(_shown(typed, parts), parts)


def _shown(typed: str, parts: Sequence[Part]) -> str:
    """As it was typed, behind what its first part leans on."""
    first = parts[0]
    lead = first.query.removesuffix(first.text) if first.query.endswith(first.text) else ""
    return " ".join(f"{lead}{typed}".split())
