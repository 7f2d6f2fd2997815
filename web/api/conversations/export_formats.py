"""Export formats for conversations: Markdown and JSON, without content the reader may no longer read."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import slugify
from django.utils.translation import gettext, gettext_noop

from cairn.answers import Verdict
from retrieval.answering.text.markdown_filter import sanitize_markdown
from retrieval.answering.text.messages import render_message
from retrieval.answering.text.refusals import language_of_refusal
from retrieval.conversations.services import ShownMessage
from retrieval.models import Conversation, MessageState
from web.api.provenance import provenance
from web.api.schemas import Answer, Citation, ConversationWithMessages, answers_of
from web.api.schemas import Conversation as ConversationShape
from web.presentation.markdown import escape_markdown_line, format_link

SUFFIXES: Final = {"markdown": "md", "json": "json"}
MEDIA_TYPES: Final = {"markdown": "text/markdown; charset=utf-8", "json": "application/json"}
VERDICTS: Final = {
    "supported": gettext_noop("Supported."),
    "partial": gettext_noop("Partly supported."),
}
_LONGEST = 60


class ExportedConversation(ConversationWithMessages):
    exported_at: datetime


def file_name(conversation: Conversation, form: str) -> str:
    """Build a file name from the letters and digits of the title."""
    stem = slugify(conversation.title)[:_LONGEST].strip("-_") or "conversation"
    return f"{stem}.{SUFFIXES[form]}"


def format_conversation(conversation: Conversation, messages: Sequence[ShownMessage], form: str) -> str:
    return (_json if form == "json" else _markdown)(conversation, messages)


def _json(conversation: Conversation, messages: Sequence[ShownMessage]) -> str:
    about = ConversationShape.of(conversation).model_dump()
    shape = ExportedConversation(**about, messages=answers_of(messages), exported_at=timezone.now())
    return shape.model_dump_json(indent=2)


def _markdown(conversation: Conversation, messages: Sequence[ShownMessage]) -> str:
    at = date_format(timezone.localtime(), "DATETIME_FORMAT")
    exported = gettext("Exported from Cairn, {at}.").format(at=at)
    parts = [f"# {escape_markdown_line(conversation.title)}", exported]
    for answer in answers_of(messages):
        parts += [part for part in _turn(answer) if part]
    return "\n\n".join(parts) + "\n"


def _turn(answer: Answer) -> Iterator[str]:
    yield f"## {escape_markdown_line(answer.question)}"
    yield sanitize_markdown(answer.answer)
    yield "" if answer.withheld else _verdict(answer)
    if answer.citations:
        yield gettext("Sources:")
        yield from map(_source, answer.citations)
    if answer.nearest:
        titles = "\n".join(f"- {escape_markdown_line(item.title)}" for item in answer.nearest)
        language = language_of_refusal(answer.reason, answer.question)
        yield f"{render_message('related', language)}\n\n{titles}"


def _verdict(answer: Answer) -> str:
    if answer.state != MessageState.DONE:
        line = gettext("The answer wasn’t completed.")
    elif answer.verdict == Verdict.REFUSED:
        language = language_of_refusal(answer.reason, answer.question)
        line = f"{render_message('refused', language)}."
    else:
        line = gettext(VERDICTS[answer.verdict]) if answer.verdict in VERDICTS else ""
    text = " ".join(filter(None, (line, escape_markdown_line(answer.reason))))
    return f"*{text}*" if text else ""


def _source(citation: Citation) -> str:
    place = gettext("page {n}").format(n=citation.page) if citation.page else citation.location
    version = gettext("version {n}").format(n=citation.version)
    places = (citation.title, place, version, provenance(citation, gettext))
    where = ", ".join(escape_markdown_line(each) for each in places if each)
    quote = "\n".join(f"> {escape_markdown_line(line)}" for line in citation.quote.splitlines())
    links = "\n".join(f"- {format_link(link.text, link.url)}" for link in citation.links)
    return "\n\n".join(filter(None, (f"[{citation.marker}] {where}", quote, links)))
