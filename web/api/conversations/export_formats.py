"""Text formats of exports, Markdown and JSON, without content the reader may no longer read."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import slugify
from django.utils.translation import gettext, gettext_noop

from cairn.answers import AnswerMode, Verdict
from cairn.hidden_characters import visible
from retrieval.answering.text.citation_markers import map_outside_code
from retrieval.answering.text.markdown_filter import sanitize_markdown
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.refusals import language_of_refusal
from retrieval.models import Conversation, MessageState
from web.api.provenance import provenance
from web.api.schemas import Answer, Citation, ConversationWithMessages
from web.api.schemas import Conversation as ConversationShape
from web.presentation.markdown import code_ranges, escape_markdown_line, format_link

SUFFIXES: Final = {"markdown": "md", "json": "json", "pdf": "pdf", "docx": "docx"}
VERDICTS: Final = {
    "supported": gettext_noop("Supported."),
    "partial": gettext_noop("Partly supported."),
}
_LONGEST = 60
_ESCAPED: Final = re.compile(r"\\([\\<\[])")
_ENTITIES: Final = {"<": "&lt;", "[": "&#91;"}


class ExportedConversation(ConversationWithMessages):
    """`files`: names of the attached files, whose content is not exported."""

    files: list[str] = []
    exported_at: datetime


def file_name(title: str, form: str) -> str:
    """Build a file name from the letters and digits of the title."""
    stem = slugify(title)[:_LONGEST].strip("-_") or "conversation"
    return f"{stem}.{SUFFIXES[form]}"


def format_as_json(
    conversation: Conversation, title: str, answers: Sequence[Answer], files: Sequence[str] = ()
) -> str:
    about = {**ConversationShape.of(conversation).model_dump(), "title": title}
    shape = ExportedConversation(
        **about, messages=list(answers), files=list(files), exported_at=timezone.now()
    )
    return shape.model_dump_json(indent=2)


def describe_files(files: Sequence[str]) -> str:
    """Name the files that were attached."""
    return gettext("Attached files: {names}").format(names=", ".join(files))


def format_as_markdown(title: str, answers: Sequence[Answer], files: Sequence[str] = ()) -> str:
    at = date_format(timezone.localtime(), "DATETIME_FORMAT")
    exported = gettext("Exported from Cairn, {at}.").format(at=at)
    parts = [f"# {escape_markdown_line(title)}", exported]
    parts += [escape_markdown_line(describe_files(files))] if files else []
    for answer in answers:
        parts += [part for part in _turn(answer) if part]
    return "\n\n".join(parts) + "\n"


def _turn(answer: Answer) -> Iterator[str]:
    yield f"## {escape_markdown_line(answer.question)}"
    yield _sanitize_outside_code(answer.answer)
    verdict = "" if answer.withheld else describe_verdict(answer)
    yield f"*{escape_markdown_line(verdict)}*" if verdict else ""
    if answer.citations:
        yield gettext("Sources:")
        yield from map(_source, answer.citations)
    if answer.nearest:
        titles = "\n".join(f"- {escape_markdown_line(item.title)}" for item in answer.nearest)
        language = language_of_refusal(answer.reason, answer.question)
        yield f"{render_message('related', language)}\n\n{titles}"


def _sanitize_outside_code(text: str) -> str:
    """Sanitize an answer. Nothing acts as Markdown or HTML in a block of code, which stays as it is."""
    parts, at = list[str](), 0
    for code in code_ranges(text):
        parts += [_sanitize(text[at : code.start]), visible(text[code.start : code.stop])]
        at = code.stop
    return "".join([*parts, _sanitize(text[at:])])


def _sanitize(text: str) -> str:
    """Remove what would act as Markdown or HTML. What is escaped is text, and stays."""
    return sanitize_markdown(map_outside_code(text, partial(_ESCAPED.sub, _write_as_entity)))


def _write_as_entity(escaped: re.Match[str]) -> str:
    return _ENTITIES.get(escaped[1], escaped[0])


def describe_verdict(answer: Answer) -> str:
    """Say how well the answer is supported, or why there is none; "" if there is nothing to say."""
    if answer.state != MessageState.DONE:
        line = gettext("The answer wasn’t completed.")
    elif answer.mode == AnswerMode.DECLINED:
        line = ""  # the answer is the organisation's own reply
    elif answer.verdict == Verdict.REFUSED:
        language = language_of_refusal(answer.reason, answer.question)
        line = f"{render_message('refused', language)}."
    elif answer.mode == AnswerMode.EXTRACTIVE:
        line = ""  # quotes support themselves, and the reason says that they are quotes
    else:
        line = gettext(VERDICTS[answer.verdict]) if answer.verdict in VERDICTS else ""
    return " ".join(filter(None, (line, answer.reason)))


def describe_source(citation: Citation) -> str:
    """Name the document, the place in it, its version and where it comes from."""
    place = gettext("page {n}").format(n=citation.page) if citation.page else citation.location
    version = gettext("version {n}").format(n=citation.version)
    return ", ".join(filter(None, (citation.title, place, version, provenance(citation, gettext))))


def _source(citation: Citation) -> str:
    where = escape_markdown_line(describe_source(citation))
    quote = "\n".join(f"> {escape_markdown_line(line)}" for line in citation.quote.splitlines())
    links = "\n".join(f"- {format_link(link.text, link.url)}" for link in citation.links)
    return "\n\n".join(filter(None, (f"[{citation.marker}] {where}", quote, links)))
