"""Sanitizes a model's Markdown: no link, picture, HTML, control token or hidden character.

Text that merely looks like one of these, such as "<your name>", is escaped.
"""

import re

from cairn.hidden_characters import visible
from retrieval.answering.text.citation_markers import map_outside_code

_ROUNDS = 8  # a removal may join the halves of another one; text nested deeper than this is escaped
_PICTURE = re.compile(
    r"!\[([^\[\]]{0,500})\](?:\([^()]{0,2000}(?:\([^()]{0,500}\)[^()]{0,500})?\)|\[[^\[\]]{0,200}\])?"
)
_LINK = re.compile(
    r"\[([^\[\]]{1,500})\](?:\([^()]{0,2000}(?:\([^()]{0,500}\)[^()]{0,500})?\)|\[[^\[\]]{0,200}\])"
)
_AUTOLINK = re.compile(
    r"<((?:https?|ftp|mailto|javascript|data):[^<>\s]{0,2000}|[^<>\s@]{1,200}@[^<>\s@]{1,200})>",
    re.IGNORECASE,
)
_NAMES = """a abbr address applet area article aside audio b base big blockquote body br button canvas
caption center cite code col dd del details dfn dialog div dl dt em embed fieldset figcaption
figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe img input
ins kbd label legend li link main map mark marquee math meta nav noscript object ol optgroup
option p param picture portal pre progress q s samp script section select slot small source span
strike strong style sub summary sup svg table tbody td template textarea tfoot th thead time
title tr track tt u ul var video wbr xml start_of_turn end_of_turn start_of_text end_of_text bos
eos pad unk sys system user assistant think tool tools tool_call tool_response instructions
instruction prompt"""
_ELEMENTS = "|".join(_NAMES.split())
_TAG = re.compile(
    rf"<</?(?:sys)>>|</?(?:{_ELEMENTS})(?=[\s/>])[^<>]{{0,4000}}>"
    r"|<[|\uff5c][^<>|\uff5c\n]{0,60}[|\uff5c]>"
    r"|\[\?\]"  # our own mark of a sentence that nothing supports
    r"|\[/?(?:inst|system_prompt|system|available_tools|tool_calls|tool_results|b_inst|e_inst)\]",
    re.IGNORECASE | re.DOTALL,
)
_FENCE = re.compile(r"(?:[\"“”„]\s*){3,}|(?<!`)`{3,}|~{3,}")
_OPENS_TAG = re.compile(r"(?<!\\)\\*+<(?=[A-Za-z/!?|\uff5c<])")
_OPENS_MARKER = re.compile(r"(?<!\\)\\*+([\[【])(?=[ \t]{0,3}\^?[ \t]{0,3}\d)")
_SPECIAL = re.compile(r"[\\`*\[\]【】<|~_]|^#")
_OPENS_TARGET = re.compile(r"\]\\*(?=[(\[:])")


def sanitize_markdown(text: str) -> str:
    """Replace links by their text and pictures by their description. Inline code stays as it is."""
    return map_outside_code(visible(text), _strip_markup)


def escape_brackets(text: str) -> str:
    """Escape brackets so that nothing opens a tag, a link target or a citation number."""
    return map_outside_code(text, _escape_openings)


def _strip_markup(text: str) -> str:
    for _ in range(_ROUNDS):
        shorter = _FENCE.sub("", _TAG.sub("", _AUTOLINK.sub(r"\1", _strip_comments(text))))
        shorter = _LINK.sub(r"\1", _PICTURE.sub(r"\1", shorter))
        if shorter == text:
            break
        text = shorter
    return text


def _strip_comments(text: str) -> str:
    """Remove HTML comments in linear time, even if many begin and none ends. An open one hides the rest."""
    visible_parts, at = [], 0
    while (start := text.find("<!--", at)) >= 0:
        visible_parts.append(text[at:start])
        end = text.find("-->", start + 4)
        at = len(text) if end < 0 else end + 3
    return "".join([*visible_parts, text[at:]])


def _escape_openings(text: str) -> str:
    text = _OPENS_TAG.sub(r"\\<", text)
    return _OPENS_TARGET.sub(r"]\\", _OPENS_MARKER.sub(r"\\\1", text))


def format_code_block(text: str) -> str:
    """Fence code with a fence longer than any inside, or quote it if it contains what reads as one of our
    markers."""
    if _OPENS_MARKER.search(text):
        return "\n".join(f"> {_SPECIAL.sub(_escape, line)}" for line in text.split("\n"))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _escape(match: re.Match[str]) -> str:
    return f"\\{match.group()}"
