"""Recognises code by the look of its lines, in passages whose format doesn't mark it.

Prose must never pass for code, so much code is missed: only prompts, options, or a backslash at the end of a
line mark code, with the lines around them.
"""

import re
from collections.abc import Sequence

from retrieval.answering.text.lexicon import STOPWORDS

_LINE = re.compile(r"[^\n]*\S[^\n]*")
_PROMPT = re.compile(r"\s*(?:\$ [a-z./~]|sudo [a-z-]|PS [A-Z]:\\|[A-Z]:\\\S{0,200}>)")
_COMMAND = re.compile(r"\s*[a-z][\w./-]*\s")
_OPTION = re.compile(r"\s(?:--[a-z][\w-]*|-[A-Za-z]{1,3})(?=[\s=]|$)")
_STARTS_CODE = re.compile(r"\s*[a-z./~$#&]|\s{2,}\S", re.ASCII)
_ENDS_PROSE = re.compile(r"(?<=\S)[.!?:,]\s*$")
_GOES_ON = re.compile(r"\s\\\s*$")
_CELL_SEPARATOR = " | "
_FUNCTION_WORDS = STOPWORDS["en"] | STOPWORDS["de"]


def find_code(text: str) -> list[tuple[int, int]]:
    """Return where code starts and ends."""
    if "-" not in text and "$" not in text and "\\" not in text and "sudo" not in text:
        return []
    found: list[tuple[int, int]] = []
    for run in _adjacent_lines(text):
        found += _code_in(text, run)
    return found


def _adjacent_lines(text: str) -> list[list[tuple[int, int]]]:
    runs: list[list[tuple[int, int]]] = []
    for match in _LINE.finditer(text):
        if runs and runs[-1][-1][1] + 1 == match.start():
            runs[-1].append(match.span())
        else:
            runs.append([match.span()])
    return runs


def _code_in(text: str, run: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the code among adjacent lines: lines that may be code, with at least one that certainly is."""
    found: list[tuple[int, int]] = []
    start = end = None
    certain = goes_on = False
    for line_start, line_end in [*run, (0, 0)]:
        line = text[line_start:line_end]
        continued = goes_on and bool(line)
        goes_on = _GOES_ON.search(line) is not None
        if continued or goes_on or _may_be_code(line):
            start, end = line_start if start is None else start, line_end
            certain = certain or continued or goes_on or _is_certain(line)
            continue
        if certain and start is not None and end is not None:
            found.append((start, end))
        start = end = None
        certain = False
    return found


def _may_be_code(line: str) -> bool:
    if not (_STARTS_CODE.match(line) or _PROMPT.match(line)) or _ENDS_PROSE.search(line):
        return False
    return _FUNCTION_WORDS.isdisjoint(line.split())


def _is_certain(line: str) -> bool:
    if _PROMPT.match(line):
        return True
    return _CELL_SEPARATOR not in line and bool(_COMMAND.match(line) and _OPTION.search(line))
