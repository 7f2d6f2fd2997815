"""The answer to a question that the usage policy declines: the organisation's own text."""

from cairn.answers import AnswerMode, Verdict
from retrieval.answering.generation.extractive import escape_markdown
from retrieval.types import Answer, AnswerEvent, Declined, Delta, Done, Started


def build_declined_events(question: str, standalone: str, declined: Declined) -> list[AnswerEvent]:
    """Return Started, the reply as written, and Done."""
    text = escape_markdown(declined.reply)
    answer = Answer(
        question=question,
        standalone_question=standalone,
        text=text,
        verdict=Verdict.REFUSED,
        reason="",
        mode=AnswerMode.DECLINED,
        declined=declined,
    )
    return [Started(standalone), Delta(text), Done(answer)]
