"""Text with format=flowed line breaks (RFC 3676)."""

import re
from collections.abc import Iterator
from typing import Final

_LINE: Final = re.compile(r"(>*)(.*)")
_SIGNATURE: Final = "-- "


def join_lines(content: str, *, delete_space: bool) -> str:
    """Join lines that end in a space with the next line of the same quote depth."""
    return "\n".join(_lines(content, delete_space))


def _lines(content: str, delete_space: bool) -> Iterator[str]:
    depth, begun = 0, ""
    for line in content.split("\n"):
        marks, rest = _split(line)
        if begun and len(marks) != depth:
            yield _quote_line(depth, begun)
            begun = ""
        depth = len(marks)
        if rest.endswith(" ") and rest != _SIGNATURE:
            begun += rest[:-1] if delete_space else rest
            continue
        yield _quote_line(depth, begun + rest)
        begun = ""
    if begun:
        yield _quote_line(depth, begun)


def _split(line: str) -> tuple[str, str]:
    """Split a line into quote marks and text, without space stuffing."""
    found = _LINE.match(line)
    marks, rest = (found[1], found[2]) if found else ("", line)
    return marks, rest.removeprefix(" ")


def _quote_line(depth: int, line: str) -> str:
    return f"{'>' * depth} {line}" if depth else line
