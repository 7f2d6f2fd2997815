"""Answers as Markdown to paste elsewhere, with numbered sources below."""

from collections.abc import Callable

from web.api.provenance import provenance
from web.api.schemas import Answer, Citation
from web.presentation.markdown import escape_markdown_line, format_link


def markdown_of(answer: Answer, absolute: Callable[[str], str]) -> str:
    """Write the answer. `absolute` turns a path of Cairn into a URL."""
    sources = [_source(each, absolute) for each in sorted(answer.citations, key=lambda each: each.marker)]
    listed = "\n".join(["Sources:", "", *sources]) if sources else ""
    return "\n\n".join(filter(None, (answer.answer.strip(), listed))) + "\n"


def _source(citation: Citation, absolute: Callable[[str], str]) -> str:
    place = citation.location or (f"page {citation.page}" if citation.page else "")
    name = ", ".join(filter(None, (citation.title, place, provenance(citation))))
    source = f"- [{citation.marker}] [{escape_markdown_line(name)}]({absolute(citation.url)})"
    return "\n".join([source, *(f"  - {format_link(link.text, link.url)}" for link in citation.links)])
