"""The [n] that cites a passage."""

import re

_NUMBERS = r"\d{1,4}(?:\s*(?:[,;&–-]|and|und)\s*\d{1,4})*"
MARKER = re.compile(
    rf"[\[【]\s*\^?(?:(?:passages?|sources?|quellen?|abschnitte?)\s*)?({_NUMBERS})\s*[\]】](?:\(\S{{0,200}}?\))?",
    re.IGNORECASE,
)
UNFINISHED = re.compile(r"[\[【][^\]】\n]{0,40}\Z")
_CODE = re.compile(r"(`+)[^`\n]*\1")
_RANGE = re.compile(r"(\d{1,4})\s*[–-]\s*(\d{1,4})")
_SPACED = re.compile(rf"[ \t]*{MARKER.pattern}", re.IGNORECASE)


def marker(numbers: tuple[int, ...]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def take_markers(text: str) -> tuple[str, tuple[int, ...]]:
    """The text without its markers, and the numbers they name, in order of first appearance."""
    found: dict[int, None] = {}

    def collect(match: re.Match[str]) -> str:
        found.update(dict.fromkeys(_expand(match.group(1))))
        return ""

    cleaned = "".join(
        part if is_code else _SPACED.sub(collect, part) for is_code, part in _split_at_code(text)
    )
    return cleaned.strip(), tuple(found)


def _split_at_code(text: str) -> list[tuple[bool, str]]:
    parts: list[tuple[bool, str]] = []
    at = 0
    for match in _CODE.finditer(text):
        parts += [(False, text[at : match.start()]), (True, match.group())]
        at = match.end()
    return [*parts, (False, text[at:])]


def _expand(numbers: str) -> list[int]:
    found: list[int] = []
    for part in re.split(r"[,;&]|and|und", numbers, flags=re.IGNORECASE):
        span = _RANGE.fullmatch(part.strip())
        if span and int(span[1]) < int(span[2]) < int(span[1]) + 20:
            found += range(int(span[1]), int(span[2]) + 1)
        else:
            found += [int(number) for number in re.findall(r"\d+", part)]
    return found
