"""Safe HTML from Markdown written by models and people.

Raw HTML is escaped, images and links are replaced by their text, and `[n]` becomes a button only if the
answer has a citation with that number. The only links are those of cited passages.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from retrieval.answering.generation.sentence_gate import UNSUPPORTED_SUFFIX
from web.presentation.cited_links import LINK_HOST, TextLink, link_cited_words
from web.presentation.unsupported_words import CITATION, MARKER, UNSUPPORTED_MARK, underline_words

LONGEST = 50_000  # characters; answers are far shorter, and hostile text must not cost more
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!()])")
_LINE_END = re.compile(r"\r\n|\r|\n")
_BLOCKS = {"p", "br", "hr", "pre", "blockquote", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6"}
_TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
_TAGS = _BLOCKS | _TABLES | {"strong", "em", "s", "code", "a", "button", "mark", "span"}
_ATTRIBUTES = {
    "a": {"href", "target"},
    "ol": {"start"},
    "mark": {"class", "title"},
    "span": {"class"},
    "button": {"type", "class", "data-marker", "aria-label"},
}
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="nofollow noopener noreferrer",
)


def _citation(state: StateInline, silent: bool) -> bool:
    """Match `[n]` before the link rule: `[1](…)` is a citation and text, never a link."""
    found = MARKER.match(state.src, state.pos)
    labels: Mapping[int, str] = state.env.get("labels", {})
    if found is None or int(found[1]) not in labels:
        return False
    if not silent:
        state.push(CITATION, "button", 0).meta = {"marker": int(found[1])}
    state.pos = found.end()
    return True


def _render_citation(
    _self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, env: EnvType
) -> str:
    marker = tokens[index].meta["marker"]
    label = escape(env["labels"][marker])
    return f'<button type="button" class="cite" data-marker="{marker}" aria-label="{label}">{marker}</button>'


def _match_unsupported(state: StateInline, silent: bool) -> bool:
    """Match the mark after an unsupported sentence, in answers that only flag them."""
    if not state.src.startswith(UNSUPPORTED_SUFFIX, state.pos):
        return False
    if not silent:
        state.push(UNSUPPORTED_MARK, "mark", 0)
    state.pos += len(UNSUPPORTED_SUFFIX)
    return True


def _render_unsupported(
    _self: RendererHTML, _tokens: Sequence[Token], _index: int, _options: OptionsDict, _env: EnvType
) -> str:
    title, words = escape(gettext("No passage says this")), escape(gettext("not traced"))
    return f'<mark class="unsupported-mark" title="{title}">{words}</mark>'


def _render_image(
    _self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType
) -> str:
    """Render the description only: loading an image would reveal readers to its host."""
    return str(escape(tokens[index].content))


def _render_link_host(
    _self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType
) -> str:
    return f' <span class="link-host">({escape(tokens[index].content)})</span>'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
    parser.disable("reference")  # `[1]: https://…` would turn every [1] into a link
    parser.inline.ruler.before("link", CITATION, _citation)
    parser.inline.ruler.before("link", UNSUPPORTED_MARK, _match_unsupported)
    parser.core.ruler.push(UNSUPPORTED_MARK, underline_words)
    parser.core.ruler.push(LINK_HOST, link_cited_words)
    parser.add_render_rule(UNSUPPORTED_MARK, _render_unsupported)
    parser.add_render_rule(CITATION, _render_citation)
    parser.add_render_rule("image", _render_image)
    parser.add_render_rule(LINK_HOST, _render_link_host)
    return parser


_PARSER = _parser()


def render_markdown(
    text: str, labels: Mapping[int, str] | None = None, links: Mapping[int, Sequence[TextLink]] | None = None
) -> SafeString:
    """Render Markdown. `labels` has the accessible name of each citation's button, by number, and `links` the
    links of its quote."""
    env: dict[str, Any] = {"labels": labels or {}, "links": links or {}}
    whole = text[:LONGEST].encode("utf-8", "replace").decode("utf-8")  # no half of a surrogate pair
    html = _PARSER.render(whole, env)
    return mark_safe(_CLEANER.clean(html))  # noqa: S308 - this is the line that cleaned it


def code_ranges(text: str) -> list[range]:
    """Return where a text has blocks of code, with the lines of their fences."""
    lines = [0, *(end.end() for end in _LINE_END.finditer(text)), len(text)]
    return [
        range(lines[block.map[0]], lines[block.map[1]])
        for block in _PARSER.parse(text, {})
        if block.map and block.type in ("fence", "code_block")
    ]


def format_link(text: str, url: str) -> str:
    """Write a link as Markdown. `url` is in ASCII and without blanks."""
    target = url.replace("(", "%28").replace(")", "%29")
    return f"[{escape_markdown_line(text)}]({target})"


def escape_markdown_line(text: str) -> str:
    """Escape text and put it on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
