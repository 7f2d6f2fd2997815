"""Removal of Liquid (Jekyll) markup from Markdown.

With front matter the file is a template, in which tags are markup everywhere, including code, except
between raw and endraw. Without it, braces inside code are literal.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

_TAG: Final = re.compile(r"\{%-?\s*(\w+)\s*(.*?)\s*-?%\}", re.DOTALL)
_QUOTED: Final = re.compile(r"""["']([^"']{1,200})["']""")
_KRAMDOWN: Final = re.compile(r"\{::?/?[^{}\n]{0,200}\}")
_TOC: Final = re.compile(r"^[*+-] [^\n]{0,80}\n\{:\s?toc[^{}\n]{0,80}\}", re.MULTILINE)
_BACKTICKS: Final = re.compile(r"`+")
_OPENING: Final = re.compile(r"\{[%{]")
_LONGEST_TAG: Final = 2000
# The tags of Liquid and Jekyll themselves; their arguments are conditions, files and names in code.
_STANDARD_TAGS: Final = frozenset(
    (
        *("assign", "capture", "case", "cycle", "decrement", "elsif", "for", "highlight", "if", "include"),
        *("include_cached", "include_relative", "increment", "layout", "link", "liquid", "post_url"),
        *("render", "section", "tablerow", "unless", "when"),
    )
)


def strip(text: str, *, template: bool) -> str:
    """Remove Liquid markup. `template`: the file had front matter, so tags inside code are markup as well."""
    spared = _Spared([]) if template else _Spared(_code_spans(text))
    without = "".join(_Scanner(text, spared).visible_parts())
    return _KRAMDOWN.sub("", _TOC.sub("", without)) if template else without


class _Spared:
    """Ordered (start, end) spans in which braces are literal."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def end_at(self, place: int) -> int | None:
        """Return the end of the span that contains `place`."""
        i = bisect_right(self._starts, place) - 1
        return self._ends[i] if i >= 0 and place < self._ends[i] else None


def _code_spans(text: str) -> list[tuple[int, int]]:
    """Return inline code and fences, from a run of backticks to the next of the same length."""
    runs = list(_BACKTICKS.finditer(text))
    following: dict[int, int] = {}
    partner: list[int | None] = [None] * len(runs)
    for i in range(len(runs) - 1, -1, -1):
        length = len(runs[i].group())
        partner[i] = following.get(length)
        following[length] = i
    spans, i = [], 0
    while i < len(runs):
        mate = partner[i]
        if mate is not None:
            spans.append((runs[i].start(), runs[mate].end()))
        i = (i if mate is None else mate) + 1
    return spans


class _Scanner:
    """A single pass over the text, in linear time however its braces are nested."""

    def __init__(self, text: str, spared: _Spared) -> None:
        self._text = text
        self._spared = spared
        self._ends = {name: _ends(text, name) for name in ("raw", "comment")}

    def visible_parts(self) -> Iterator[str]:
        text, place = self._text, 0
        while found := _OPENING.search(text, place):
            opening = found.start()
            if end := self._spared.end_at(opening):
                yield text[place:end]
                place = end
                continue
            yield text[place:opening]
            shown, place = self._markup(opening)
            yield shown
        yield text[place:]

    def _markup(self, opening: int) -> tuple[str, int]:
        """Return the visible text of the markup at `opening`, and the position after it."""
        text = self._text
        closing = "%}" if text[opening + 1] == "%" else "}}"
        end = text.find(closing, opening + 2, opening + _LONGEST_TAG)
        if end < 0 or (closing == "%}" and text.find("{%", opening + 2, end) >= 0):
            return text[opening : opening + 2], opening + 2
        end += 2
        found = _TAG.match(text[opening:end]) if closing == "%}" else None
        if not found:
            return "", end
        name, arguments = found.groups()
        return self._block(name, end) if name in self._ends else (_argument(name, arguments), end)

    def _block(self, name: str, end: int) -> tuple[str, int]:
        """Return the verbatim contents of a raw block, and nothing for a comment."""
        ends = self._ends[name]
        closing = bisect_left(ends, (end, end))
        if closing == len(ends):
            return "", end
        start, after = ends[closing]
        return (self._text[end:start] if name == "raw" else ""), after


def _ends(text: str, name: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(r"\{%-?\s*end" + name + r"\s*-?%\}", text)]


def _argument(name: str, arguments: str) -> str:
    """Return the text that a plug-in's tag shows, as far as its source tells: `{% key "Ctrl" %}` shows Ctrl.

    A tag shows its last argument if all are quoted and this one is not a path.
    """
    quoted = _QUOTED.findall(arguments)
    if not quoted or name in _STANDARD_TAGS or _QUOTED.sub("", arguments).strip(" ,\n\t"):
        return ""
    shown = quoted[-1]
    return "" if "/" in shown or "." in shown.strip(". ") else shown
