"""The answer to a question that the usage policy declines: the organisation's own text."""

import re

from cairn.answers import AnswerMode, Verdict
from retrieval.answering.generation.extractive import escape_markdown
from retrieval.types import Answer, AnswerEvent, Declined, Delta, Done, Started

_BLOCK_MARK = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+#=>]))", re.MULTILINE)
_LINE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")


def build_declined_events(question: str, standalone: str, declined: Declined) -> list[AnswerEvent]:
    """Return Started, the reply as written, and Done."""
    text = _escape_reply(declined.reply)
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


def _escape_reply(reply: str) -> str:
    """Escape the reply so that it shows as written: without headings and lists, and with its line breaks."""
    lines = "\n".join(line.strip() for line in reply.splitlines())
    marked = _BLOCK_MARK.sub(r"\1\\", escape_markdown(lines))
    return _LINE_BREAK.sub("  \n", marked)
