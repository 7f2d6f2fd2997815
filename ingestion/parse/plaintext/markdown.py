"""Markdown without front matter and template tags, parsed as HTML."""

import re
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

from cairn.library.rendition import Rendition
from cairn.messages import CodedMessage
from ingestion.parse.core import failures
from ingestion.parse.core.limits import Limits
from ingestion.parse.html import html_document
from ingestion.parse.plaintext import liquid
from ingestion.parse.plaintext.front_matter import split_front_matter
from ingestion.parse.text.cleaning import decode

_TAG: Final = re.compile(r"<[^<>]{1,200}>")
_PLAIN_ADDRESS: Final = re.compile(r"(?:https?://)?[\w./?#=&-]+", re.ASCII)


class _Markdown(MarkdownIt):
    def normalizeLink(self, url: str) -> str:  # noqa: N802
        """Accept a link. Its target is not shown, so it is not normalised."""
        return url if _PLAIN_ADDRESS.fullmatch(url) else super().normalizeLink(url)


_MARKDOWN: Final = _Markdown("commonmark").enable(["table", "strikethrough"])


def parse(path: Path, limits: Limits) -> Rendition:
    title, body, template = split_front_matter(decode(path.read_bytes()))
    text = liquid.strip(body, template=template)
    if not text.strip():
        raise failures.no_text(
            CodedMessage("no_text_besides_front_matter" if template else "no_text_in_markdown")
        )
    return html_document.read(_MARKDOWN.render(text), limits, title=_plain(title))


def _plain(title: str | None) -> str | None:
    return _TAG.sub("", liquid.strip(title, template=True)) if title else None
