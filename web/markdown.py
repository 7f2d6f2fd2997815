"""Markdown that a model or a person wrote, as HTML that is safe to show.

Raw HTML stays text, pictures become their description, and `[n]` becomes a button only where the
answer has a citation with that number.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from retrieval.answering.drafting import UNSUPPORTED

LONGEST = 50_000  # characters; answers are far shorter, and what is hostile shall not cost more
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!()])")
_MARKER = re.compile(r"\[(\d{1,3})\]")
_NUMBERS = re.compile(r"(\[\d{1,3}\])")
_ENDS: Final = {"citation", "unsupported"}
_BLOCKS = {"p", "br", "hr", "pre", "blockquote", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6"}
_TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
_TAGS = _BLOCKS | _TABLES | {"strong", "em", "s", "code", "a", "button", "mark"}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "ol": {"start"},
    "mark": {"class", "title"},
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
    """`[n]` before the link rule sees it: `[1](…)` is a citation and text, never a link."""
    found = _MARKER.match(state.src, state.pos)
    labels: Mapping[int, str] = state.env.get("labels", {})
    if found is None or int(found[1]) not in labels:
        return False
    if not silent:
        state.push("citation", "button", 0).meta = {"marker": int(found[1])}
    state.pos = found.end()
    return True


def _render_citation(
    _self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, env: EnvType
) -> str:
    marker = tokens[index].meta["marker"]
    label = escape(env["labels"][marker])
    return f'<button type="button" class="cite" data-marker="{marker}" aria-label="{label}">{marker}</button>'


def _unsupported(state: StateInline, silent: bool) -> bool:
    """The mark behind a sentence that no passage says, which answers carry where they are only flagged."""
    if not state.src.startswith(UNSUPPORTED, state.pos):
        return False
    if not silent:
        state.push("unsupported", "mark", 0)
    state.pos += len(UNSUPPORTED)
    return True


def _words_marked(state: StateCore) -> None:
    """The words that the mark is about, from the citation or mark before them on, so that nobody has to guess
    where they begin; with what announces them, and of a row of a table the last cell."""
    for block in state.tokens:
        if block.children and any(token.type == "unsupported" for token in block.children):
            block.children = _marked(block.children)


def _marked(tokens: Sequence[Token]) -> list[Token]:
    done: list[Token] = []
    for token in chain.from_iterable(map(_pieces, tokens)):
        if token.type == "unsupported":
            start = _first_word(done, token.level)
            done[start:] = _underlined(done[start:])
        done.append(token)
    return done


def _first_word(tokens: Sequence[Token], level: int) -> int:
    """Where in the tokens before a mark of that level its words begin: behind the last if there are none."""
    start = len(tokens)
    while start and tokens[start - 1].level >= level and not _ends(tokens[start - 1]):
        start -= 1
    while start < len(tokens) and not _may_begin(tokens[start], level):
        start += 1
    return start


def _pieces(token: Token) -> Iterator[Token]:
    """Where citations are not known, their numbers are text."""
    if token.type == "text":
        yield from (_text(piece, token.level) for piece in _NUMBERS.split(token.content) if piece)
    else:
        yield token


def _ends(token: Token) -> bool:
    return token.type in _ENDS or (token.type == "text" and bool(_MARKER.fullmatch(token.content)))


def _may_begin(token: Token, level: int) -> bool:
    gap = token.type in {"softbreak", "hardbreak"} or (token.type == "text" and not token.content.strip())
    return token.level == level and token.nesting >= 0 and not gap


def _underlined(words: list[Token]) -> list[Token]:
    if not words:
        return []
    first, last = words[0], words[-1]
    before = first.content[: len(first.content) - len(first.content.lstrip())] if first.type == "text" else ""
    after = last.content[len(last.content.rstrip()) :] if last.type == "text" else ""
    if before:
        first.content = first.content.lstrip()
    if after:
        last.content = last.content.rstrip()
    begin = Token("unsupported_words_open", "mark", 1, attrs={"class": "unsupported-words"})
    end = Token("unsupported_words_close", "mark", -1)
    return [_text(before, first.level), begin, *words, end, _text(after, last.level)]


def _text(content: str, level: int) -> Token:
    return Token("text", "", 0, content=content, level=level)


def _render_unsupported(
    _self: RendererHTML, _tokens: Sequence[Token], _index: int, _options: OptionsDict, _env: EnvType
) -> str:
    title, words = escape(gettext("No passage says this")), escape(gettext("not traced"))
    return f'<mark class="unsupported-mark" title="{title}">{words}</mark>'


def _render_image(
    _self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType
) -> str:
    """A picture from elsewhere would tell its host who reads the answer: only its words are shown."""
    return str(escape(tokens[index].content))


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
    parser.disable("reference")  # `[1]: https://…` would turn every [1] into a link
    parser.inline.ruler.before("link", "citation", _citation)
    parser.inline.ruler.before("link", "unsupported", _unsupported)
    parser.core.ruler.push("unsupported", _words_marked)
    parser.add_render_rule("unsupported", _render_unsupported)
    parser.add_render_rule("citation", _render_citation)
    parser.add_render_rule("image", _render_image)
    return parser


_PARSER = _parser()


def render_markdown(text: str, labels: Mapping[int, str] | None = None) -> SafeString:
    """`labels` says for each citation's number what a screen reader reads for its button."""
    env: dict[str, Any] = {"labels": labels or {}}
    whole = text[:LONGEST].encode("utf-8", "replace").decode("utf-8")  # no half of a surrogate pair
    html = _PARSER.render(whole, env)
    return mark_safe(_CLEANER.clean(html))  # noqa: S308 - this is the line that cleaned it


def escaped(text: str) -> str:
    """As Markdown that reads as the text does: on one line, and nothing in it is taken for markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
