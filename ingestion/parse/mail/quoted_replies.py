"""Separate a mail's own text from quoted earlier mails."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from lxml import etree, html

_WROTE: Final = "wrote|writes|schrieb|a écrit|escribió|escreveu|ha scritto|schreef|skrev|napisał|написал|כתב"
_ATTRIBUTION: Final = re.compile(rf".{{0,300}}\b({_WROTE})\b.{{0,60}}:\s*", re.IGNORECASE | re.DOTALL)
_ORIGINAL: Final = re.compile(
    r"\s*-{2,}\s*(original message|original appointment|forwarded message|forwarded by .*"
    r"|ursprüngliche nachricht|originalnachricht|weitergeleitete nachricht|message d'origine"
    r"|message transféré|mensaje original|mensaje reenviado|messaggio originale|messaggio inoltrato"
    r"|mensagem original|oorspronkelijk bericht|doorgestuurd bericht)\s*-*\s*"
    r"|\s*begin forwarded message:\s*",
    re.IGNORECASE,
)
_FROM: Final = r"[*\s]*(From|Von|De|Da|Van|Från|Fra|От|מאת)\s*:"
_STARTS_FROM: Final = re.compile(_FROM)
_HEAD: Final = re.compile(
    rf"{_FROM}.{{1,300}}?\n?[*\s]*(Sent|Date|Gesendet|Datum|Envoyé|Enviado|Fecha|Inviato|Data|Verzonden"
    r"|Skickat|Отправлено|נשלח)\s*:.{1,600}?[*\s]*(To|Subject|An|Betreff|À|Objet|Para|Asunto|Assunto"
    r"|A|Oggetto|Aan|Onderwerp|Till|Ämne|Кому|Тема|אל|נושא)\s*:",
    re.DOTALL,
)
_ON: Final = re.compile(r"\s*(On|Am|Le|El|Em|Il|Op|Den|W dniu)\s")
_RULE: Final = re.compile(r"\s*[_-]{5,}\s*")
_HEAD_CHARACTERS: Final = 1500
_ATTRIBUTION_LINES: Final = 3

Run = tuple[bool, str]
"""Whether it is of an earlier mail, and the text."""


def runs(content: str) -> list[Run]:
    """Split plain text at the beginning and end of quoted mails, in order."""
    lines = content.split("\n")
    end = next((place for place in range(len(lines)) if _rest_is_earlier(lines, place)), len(lines))
    marked = _mark_quoted(lines[:end]) + [True] * (len(lines) - end)
    found: list[Run] = []
    start = 0
    for place in range(1, len(lines) + 1):
        if place == len(lines) or marked[place] != marked[start]:
            found.append((marked[start], _strip_quote_marks(lines[start:place], earlier=marked[start])))
            start = place
    return [(earlier, text) for earlier, text in found if text.strip()]


def _rest_is_earlier(lines: Sequence[str], place: int) -> bool:
    if _ORIGINAL.fullmatch(lines[place]):
        return True
    if _RULE.fullmatch(lines[place]):
        place = next((n for n in range(place + 1, min(place + 4, len(lines))) if lines[n].strip()), place)
    if not _STARTS_FROM.match(lines[place]):
        return False
    return bool(_HEAD.match("\n".join(line for line in lines[place : place + 12] if line.strip())))


def _mark_quoted(lines: Sequence[str]) -> list[bool]:
    """Return which lines are quoted, including blank lines between them and the attribution."""
    marked = [line.startswith(">") for line in lines]
    for place, quoted in enumerate(marked):
        if quoted and (place == 0 or not marked[place - 1]):
            start = _attribution(lines, place)
            marked[start:place] = [True] * (place - start)
    return marked


def _attribution(lines: Sequence[str], place: int) -> int:
    """Return the start of the lines that introduce the quote at `place`; `place` if there are none."""
    above = place
    while above and not lines[above - 1].strip():
        above -= 1
    for count in range(1, _ATTRIBUTION_LINES + 1):
        start = above - count
        if start < 0 or not lines[start].strip() or lines[start].startswith(">"):
            break
        if _ATTRIBUTION.fullmatch(" ".join(lines[start:above])):
            return _attribution_start(lines, start)
    gap_is_quoted = above and lines[above - 1].startswith(">")
    return above if gap_is_quoted else place


def _attribution_start(lines: Sequence[str], start: int) -> int:
    """Return the start of the attribution, which may begin with "On ..." on the line above."""
    if _ON.match(lines[start]) or start == 0:
        return start
    return start - 1 if _ON.match(lines[start - 1]) else start


def _strip_quote_marks(lines: Sequence[str], *, earlier: bool) -> str:
    if not earlier:
        return "\n".join(lines)
    return "\n".join(re.sub(r"^(> ?)+", "", line) for line in lines)


def split_html(source: str) -> tuple[str, list[str]]:
    """Return the mail's own HTML, and that of quoted mails, in order."""
    root = _tree(source)
    if root is None:
        return source, []
    earlier = [_detach_node(node) for node in _quotes(root)]
    if (start := _head_in(root)) is not None:
        earlier.append(_take_from(start))
    return html.tostring(root, encoding="unicode"), earlier


def _tree(source: str) -> html.HtmlElement | None:
    parser = html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True, no_network=True
    )
    try:
        root: html.HtmlElement = html.document_fromstring(source.encode(), parser=parser)
    except (etree.ParserError, ValueError):
        return None
    cut_off = any(error.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for error in parser.error_log)
    return None if cut_off else root


def _quotes(root: html.HtmlElement) -> list[html.HtmlElement]:
    """Return the outermost elements that mail programs use for quotes."""
    found = [node for node in root.iter("blockquote", "div") if _is_quote(node)]
    inside = set(found)
    return [node for node in found if not any(above in inside for above in node.iterancestors())]


def _is_quote(node: html.HtmlElement) -> bool:
    classes = (node.get("class") or "").split()
    marks = ("gmail_quote", "gmail_quote_container", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote")
    return (node.tag == "blockquote" and node.get("type") == "cite") or any(mark in classes for mark in marks)


def _head_in(root: html.HtmlElement) -> html.HtmlElement | None:
    """Find the block with "From: ... Sent: ... To: ..." above a mail quoted by Outlook."""
    for node in root.iter("div", "p", "b", "strong", "span", "font"):
        if node.get("id") in ("divRplyFwdMsg", "appendonsend"):
            return node
        if _STARTS_FROM.match(node.text or "") and (block := _block_of(node)) is not None:
            return block
    return None


def _block_of(node: html.HtmlElement) -> html.HtmlElement | None:
    """Return the innermost block around `node` that contains a whole head, and little above it."""
    for block in [node, *node.iterancestors("p", "div", "td", "table")]:
        words = str(block.text_content())[:_HEAD_CHARACTERS].strip()
        if not _STARTS_FROM.match(words):
            return None
        if _HEAD.match(words):
            return block
    return None


def _detach_node(node: html.HtmlElement) -> str:
    taken = html.tostring(node, encoding="unicode", with_tail=False)
    node.drop_tree()
    return str(taken)


def _take_from(start: html.HtmlElement) -> str:
    """Remove everything from `start` to the end of the page and return it."""
    taken = []
    for node in list(_following(start)):
        taken.append(html.tostring(node, encoding="unicode"))
        if (parent := node.getparent()) is not None:
            parent.remove(node)
    return "".join(taken)


def _following(start: html.HtmlElement) -> Iterator[html.HtmlElement]:
    for node in [start, *start.iterancestors()]:
        if node.tag in ("body", "html"):
            return
        if node is start:
            yield node
        yield from list(node.itersiblings())


_FOOTERS: Final = (
    "you received this message because you are subscribed to the google group",
    "to unsubscribe from this group and stop receiving emails from it",
)


def without_list_footer(content: str) -> str:
    """Remove the footer that a mailing list adds to each mail."""
    head, rule, tail = content.rpartition("\n" + "_" * 20)
    if rule and is_list_footer(tail) and tail.count("\n") <= 8:
        return head
    head, line, tail = content.rpartition("\n-- \n")
    return head if line and is_list_footer(tail) else content


def is_list_footer(content: str) -> bool:
    words = content.lower()
    if any(footer in words for footer in _FOOTERS):
        return True
    return "mailing list" in words and ("http" in words or "@" in words) and len(words) < 600
