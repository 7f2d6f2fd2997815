"""Markdown without front matter and template tags, parsed as HTML."""

import re
from collections.abc import MutableMapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from lxml.html import defs
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from cairn.library.rendition import Rendition
from cairn.messages import CodedMessage
from ingestion.parse.core import failures
from ingestion.parse.core.limits import Limits
from ingestion.parse.html import html_document
from ingestion.parse.plaintext import liquid
from ingestion.parse.plaintext.front_matter import split_front_matter
from ingestion.parse.text.cleaning import decode

_TAG: Final = re.compile(r"<[^<>]{1,200}>")
_PLACEHOLDER: Final = re.compile(r"<([a-z][a-z0-9-]*)(?:[ ][a-z][\w-]*){0,9}>", re.IGNORECASE | re.ASCII)
_CLOSING_TAG: Final = re.compile(r"</([a-z][a-z0-9-]*)", re.IGNORECASE | re.ASCII)
_HTML_ELEMENTS: Final = defs.tags | {"dialog", "g", "main", "path", "picture", "slot", "template"}
_PLAIN_ADDRESS: Final = re.compile(r"(?:https?://)?[\w./?#=&-]+", re.ASCII)


class _Markdown(MarkdownIt):
    def normalizeLink(self, url: str) -> str:  # noqa: N802
        """Accept a link. Its target is not shown, so it is not normalised."""
        return url if _PLAIN_ADDRESS.fullmatch(url) else super().normalizeLink(url)


def _render_html(
    _renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    """Keep a placeholder such as “<your name>” as text, which Markdown takes for an HTML element."""
    tag = tokens[index].content
    found = _PLACEHOLDER.fullmatch(tag.strip())
    if found is None or found[1].lower() in _HTML_ELEMENTS | env["closed"]:
        return tag
    text = escape(tag.strip())
    return f"<p>{text}</p>\n" if tokens[index].type == "html_block" else text


_MARKDOWN: Final = _Markdown("commonmark").enable(["table", "strikethrough"])
for _type in ("html_inline", "html_block"):
    _MARKDOWN.add_render_rule(_type, _render_html)


def parse(path: Path, limits: Limits) -> Rendition:
    title, body, template = split_front_matter(decode(path.read_bytes()))
    text = liquid.strip(body, template=template)
    if not text.strip():
        raise failures.no_text(
            CodedMessage("no_text_besides_front_matter" if template else "no_text_in_markdown")
        )
    closed = {name.lower() for name in _CLOSING_TAG.findall(text)}
    return html_document.read(_MARKDOWN.render(text, {"closed": closed}), limits, title=_plain(title))


def _plain(title: str | None) -> str | None:
    return _TAG.sub("", liquid.strip(title, template=True)) if title else None
