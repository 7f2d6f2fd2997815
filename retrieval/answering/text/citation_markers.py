"""Citation markers such as [1]."""

import re
from collections.abc import Callable

_NUMBERS = r"\d{1,4}(?:[ \t]{0,3}(?:[,;&–-]|and|und)[ \t]{0,3}\d{1,4}){0,9}"
_OPENS = r"[\[【][ \t]{0,3}\^?"
MARKER = re.compile(
    rf"{_OPENS}(?:(?:passages?|sources?|quellen?|abschnitte?)[ \t]{{0,3}})?({_NUMBERS})[ \t]{{0,3}}[\]】]"
    r"(?:\([^\s)]{0,200}\))?",
    re.IGNORECASE,
)
UNFINISHED_MARKER = re.compile(
    rf"{_OPENS}[a-z]{{0,10}}[ \t]{{0,3}}(?:\d[\d \t,;&–\-andu]{{0,150}})?(?:[\]】](?:\([^\s)]{{0,200}})?)?\Z",
    re.IGNORECASE,
)
"""Text that more input may turn into a marker, or into a longer one."""
_CODE = re.compile(r"(?<!`)(`+)[^`\n]+\1(?!`)")
_RANGE = re.compile(r"(\d{1,4})\s*[–-]\s*(\d{1,4})")
_ROUNDS = 8
_SPACED = re.compile(rf"(?<![ \t])[ \t]*+{MARKER.pattern}", re.IGNORECASE)


def format_markers(numbers: tuple[int, ...]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def strip_markers(text: str) -> tuple[str, tuple[int, ...]]:
    """Return the text without markers, and the numbers they name, in order of first appearance.

    Markers that appear when another is removed from their middle are removed, too.
    """
    found: dict[int, None] = {}

    def collect(match: re.Match[str]) -> str:
        found.update(dict.fromkeys(_expand(match.group(1))))
        return ""

    for _ in range(_ROUNDS):
        cleaned = map_outside_code(text, lambda part: _SPACED.sub(collect, part))
        if cleaned == text:
            break
        text = cleaned
    return text.strip(), tuple(found)


def map_outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply `change` to the text outside inline code."""
    parts: list[str] = []
    at = 0
    for match in _CODE.finditer(text):
        parts += [change(text[at : match.start()]), match.group()]
        at = match.end()
    return "".join([*parts, change(text[at:])])


def _expand(numbers: str) -> list[int]:
    found: list[int] = []
    for part in re.split(r"[,;&]|and|und", numbers, flags=re.IGNORECASE):
        span = _RANGE.fullmatch(part.strip())
        if span and int(span[1]) < int(span[2]) < int(span[1]) + 20:
            found += range(int(span[1]), int(span[2]) + 1)
        else:
            found += [int(number) for number in re.findall(r"\d+", part)]
    return found
