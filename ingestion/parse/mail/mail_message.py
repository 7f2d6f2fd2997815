"""Mail: headers as text, the message, and separately the earlier mails that it quotes."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition, Report
from cairn.messages import CodedMessage
from ingestion.parse.core import report_notes
from ingestion.parse.core.anchors import Anchor
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import TEXT, TITLE, RenditionBuilder
from ingestion.parse.html import html_document
from ingestion.parse.mail import mime, quoted_replies
from ingestion.parse.mail.parts import MOST_ATTACHMENTS, Body, Mail

EARLIER: Final = "Earlier message"
_LONGEST_LINE: Final = 1000
_LONGEST_NAME: Final = 200
_PARAGRAPHS: Final = re.compile(r"\n[^\S\n]*\n")


def parse(path: Path, limits: Limits) -> Rendition:
    return rendition(mime.load(path), limits)


def rendition(mail: Mail, limits: Limits) -> Rendition:
    builder = RenditionBuilder(limits)
    builder.add(TEXT, "\n".join(_head(mail)))
    earlier: list[Rendition | str] = []
    for body in mail.bodies:
        _add_body(body, mail, builder, earlier, limits)
    for quoted in earlier:
        builder.heading(0, EARLIER)
        _append(quoted, builder, below=1)
    truncated = len(mail.attachments) > MOST_ATTACHMENTS
    report = Report(tables=builder.tables, truncated=truncated, warnings=tuple(_warnings(mail)))
    return builder.build(title=mail.head.get("Subject"), report=report, properties=_properties(mail))


def _warnings(mail: Mail) -> Iterator[str]:
    if (beyond := len(mail.attachments) - MOST_ATTACHMENTS) > 0:
        yield CodedMessage("skipped_attachments", count=beyond, most=MOST_ATTACHMENTS)
    for part, count in Counter(mail.left_out).items():
        yield from report_notes.build_count_note(part.code, count)


def _head(mail: Mail) -> Iterator[str]:
    for name, line in mail.head.items():
        yield f"{name}: {_cut(line)}"
    if names := ", ".join(part.name[:_LONGEST_NAME] for part in mail.documents):
        yield f"Attachments: {_cut(names)}"


def _properties(mail: Mail) -> dict[str, str]:
    fields = {name.lower(): _cut(line) for name, line in mail.head.items() if name != "Date"}
    return fields | ({"date": mail.date} if mail.date else {})


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


def _add_body(
    body: Body, mail: Mail, builder: RenditionBuilder, earlier: list[Rendition | str], limits: Limits
) -> None:
    """Add the mail's own text to the builder and the quoted mails to `earlier`."""
    if body.is_html:
        own, quoted = quoted_replies.split_html(body.text)
        pages = [page for source in quoted if (page := _page(source, limits))]
        read = _page(own, limits)
        if read or pages:
            earlier.extend(pages)
            _append(_without_footer(read, mail) if read else "", builder, below=0)
            return
    plain = body.plain if body.is_html else body.text
    for is_earlier, text in quoted_replies.runs(
        quoted_replies.without_list_footer(plain) if mail.is_from_list else plain
    ):
        if is_earlier:
            earlier.append(text)
        elif not (mail.is_from_list and _is_footer_alone(text, mail)):
            _append(text, builder, below=0)


def _is_footer_alone(text: str, mail: Mail) -> bool:
    """Return whether a body part is only a mailing list footer."""
    return len(mail.bodies) > 1 and quoted_replies.is_list_footer(text)


def _page(source: str, limits: Limits) -> Rendition | None:
    """Parse HTML. Returns None if it has no text."""
    try:
        return html_document.read(source, limits)
    except DocumentRejected as rejection:
        if rejection.reason is not Rejection.NO_TEXT:
            raise
        return None


def _without_footer(read: Rendition, mail: Mail) -> Rendition:
    elements = read.elements
    while mail.is_from_list and elements and quoted_replies.is_list_footer(elements[-1].text):
        elements = elements[:-1]
    return Rendition(elements)


def _append(read: Rendition | str, builder: RenditionBuilder, *, below: int) -> None:
    """Append text or a rendition, with headings at their depth below `below`."""
    if isinstance(read, str):
        for paragraph in _PARAGRAPHS.split(read):
            builder.add(TEXT, paragraph)
        return
    for element in read.elements:
        anchors = [Anchor(element.text[link.start : link.end], link.url) for link in element.links]
        if element.category == TITLE:
            builder.heading(len(element.section) + below, element.text, anchors=anchors)
        else:
            builder.add(element.category, element.text, header_rows=element.header_rows, anchors=anchors)
