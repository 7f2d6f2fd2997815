"""Context lines of passages: title > section > subsection."""

from collections.abc import Mapping, Sequence
from typing import Final

from ingestion.chunking.units import CountTokens

Path = tuple[str, ...]

_SEPARATOR: Final = " > "
_LONG: Final = 90
_SHORT: Final = 40


def full_lines(title: str, paths: Sequence[Path]) -> dict[Path, str]:
    return {path: _join(_parts(title, path), _LONG) for path in dict.fromkeys(paths)}


def with_context(line: str, text: str) -> str:
    """Return the text to embed: the context line and the passage."""
    return f"{line}\n{text}" if line else text


def fit_lines(
    title: str, costed: Mapping[Path, tuple[str, int]], count_tokens: CountTokens, most: int
) -> dict[Path, tuple[str, int]]:
    """Return (line, tokens) for each path. Lines that cost more than `most` are shortened."""
    shorter = {path: _shorter(title, path) for path, (_, cost) in costed.items() if cost > most}
    counts = iter(count_tokens([line for lines in shorter.values() for line in lines]) if shorter else [])
    found = dict(costed)
    for path, lines in shorter.items():
        affordable = [(line, cost) for line in lines if (cost := next(counts)) <= most]
        found[path] = affordable[0] if affordable else ("", 0)
    return found


def _shorter(title: str, path: Path) -> list[str]:
    """Return shorter lines, from the longest to the shortest."""
    parts = _parts(title, path)
    return [
        _join([*parts[:1], *parts[-2:]] if len(parts) > 3 else parts, _SHORT),
        _join([*parts[:1], *parts[1:][-1:]], _SHORT // 2),
        _join(parts[-1:], _SHORT // 2),
    ]


def _parts(title: str, path: Path) -> list[str]:
    """Return title and sections without repeats: a title is often its own first heading."""
    titles: list[str] = []
    for part in (" ".join(part.split()) for part in (title, *path)):
        if part and (not titles or titles[-1].casefold() != part.casefold()):
            titles.append(part)
    return titles


def _join(parts: Sequence[str], longest: int) -> str:
    return _SEPARATOR.join(_clip(part, longest) for part in parts)


def _clip(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    cut = text.rfind(" ", longest // 2, longest)
    return text[: cut if cut > 0 else longest] + "…"
