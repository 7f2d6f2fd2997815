"""The [n] that cites a passage."""

import re
from collections.abc import Callable

_NUMBERS = r"\d{1,4}(?:[ \t]{0,3}(?:[,;&–-]|and|und)[ \t]{0,3}\d{1,4}){0,9}"
_OPENS = r"[\[【][ \t]{0,3}\^?"
MARKER = re.compile(
    rf"{_OPENS}(?:(?:passages?|sources?|quellen?|abschnitte?)[ \t]{{0,3}})?({_NUMBERS})[ \t]{{0,3}}[\]】]"
    r"(?:\([^\s)]{0,200}\))?",
    re.IGNORECASE,
)
UNFINISHED = re.compile(
    rf"{_OPENS}[a-z]{{0,10}}[ \t]{{0,3}}(?:\d[\d \t,;&–\-andu]{{0,150}})?(?:[\]】](?:\([^\s)]{{0,200}})?)?\Z",
    re.IGNORECASE,
)
"""What may become a marker, or a longer one, when more text comes."""
_CODE = re.compile(r"(?<!`)(`+)[^`\n]+\1(?!`)")
_RANGE = re.compile(r"(\d{1,4})\s*[–-]\s*(\d{1,4})")
_ROUNDS = 8
_SPACED = re.compile(rf"(?<![ \t])[ \t]*+{MARKER.pattern}", re.IGNORECASE)


def marker(numbers: tuple[int, ...]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def take_markers(text: str) -> tuple[str, tuple[int, ...]]:
    """The text without its markers, and the numbers they name, in order of first appearance.

    Nor is one left that comes about when another is taken out of its middle.
    """
    found: dict[int, None] = {}

    def collect(match: re.Match[str]) -> str:
        found.update(dict.fromkeys(_expand(match.group(1))))
        return ""

    for _ in range(_ROUNDS):
        cleaned = outside_code(text, lambda part: _SPACED.sub(collect, part))
        if cleaned == text:
            break
        text = cleaned
    return text.strip(), tuple(found)


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """With inline code as it is."""
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
