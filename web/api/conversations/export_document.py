"""A conversation, or one answer, as a document to print or pass on: PDF or Word."""

from collections.abc import Iterator, Sequence

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from retrieval.answering.text.messages import render_message
from retrieval.answering.text.refusals import language_of_refusal
from web.api.conversations.export_formats import describe_files, describe_source, describe_verdict
from web.api.schemas import Answer, Citation
from web.exports.answer_blocks import Block, Run, Table, blocks_of, plain_block, printable


def build_document(
    title: str, answers: Sequence[Answer], files: Sequence[str] = ()
) -> Iterator[Block | Table]:
    """Yield the blocks of the document."""
    at = date_format(timezone.localtime(), "DATETIME_FORMAT")
    yield plain_block("title", title)
    yield plain_block("note", gettext("Exported from Cairn, {at}.").format(at=at))
    if files:
        yield plain_block("note", describe_files(files))
    for answer in answers:
        yield from _turn(answer)


def _turn(answer: Answer) -> Iterator[Block | Table]:
    yield plain_block("question", answer.question)
    yield from blocks_of(answer.answer)
    verdict = "" if answer.withheld else describe_verdict(answer)
    if verdict:
        yield plain_block("note", verdict)
    if answer.citations:
        yield Block("text", (Run(gettext("Sources:"), bold=True),))
        for citation in sorted(answer.citations, key=lambda each: each.marker):
            yield from _source(citation)
    if answer.nearest:
        language = language_of_refusal(answer.reason, answer.question)
        yield plain_block("text", render_message("related", language))
        for item in answer.nearest:
            yield Block("item", (Run(printable(item.title)),), 1, "•")


def _source(citation: Citation) -> Iterator[Block]:
    yield plain_block("text", f"[{citation.marker}] {describe_source(citation)}")
    yield plain_block("quote", citation.quote)
    for link in citation.links:
        yield Block("item", (Run(printable(f"{link.text} ({link.url})")),), 1, "•")
