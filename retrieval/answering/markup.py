"""What a model's Markdown may hold when it leaves: no link, picture, HTML, control token or hidden character.

What merely looks like one of these, such as "<your name>", is escaped, so that nothing takes it for one.
"""

import re

from cairn.text import visible
from retrieval.answering.markers import outside_code

_ROUNDS = 8  # what is taken away may leave the halves of another; an onion deeper than this is escaped
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


def harmless(text: str) -> str:
    """Links become their text, pictures their description; inline code stays as it is."""
    return outside_code(visible(text), _without_markup)


def escaped_brackets(text: str) -> str:
    """Nothing in it opens a tag, a link's target or, in brackets, the number of a citation."""
    return outside_code(text, _escaped)


def _without_markup(text: str) -> str:
    for _ in range(_ROUNDS):
        shorter = _FENCE.sub("", _TAG.sub("", _AUTOLINK.sub(r"\1", _without_comments(text))))
        shorter = _LINK.sub(r"\1", _PICTURE.sub(r"\1", shorter))
        if shorter == text:
            break
        text = shorter
    return text


def _without_comments(text: str) -> str:
    """In linear time, also where very many begin and none ends. One without an end hides the rest."""
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0:
        kept.append(text[at:start])
        end = text.find("-->", start + 4)
        at = len(text) if end < 0 else end + 3
    return "".join([*kept, text[at:]])


def _escaped(text: str) -> str:
    text = _OPENS_TAG.sub(r"\\<", text)
    return _OPENS_TARGET.sub(r"]\\", _OPENS_MARKER.sub(r"\\\1", text))


def code_block(text: str) -> str:
    """In a fence longer than any in it; as quoted text where it has what reads as a marker of ours."""
    if _OPENS_MARKER.search(text):
        return "\n".join(f"> {_SPECIAL.sub(_escape, line)}" for line in text.split("\n"))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _escape(match: re.Match[str]) -> str:
    return f"\\{match.group()}"
