"""The line that says where a passage stands: title > section > subsection."""

from collections.abc import Mapping, Sequence
from typing import Final

from ingestion.chunk.units import CountTokens

Path = tuple[str, ...]

_SEPARATOR: Final = " > "
_LONG: Final = 90
_SHORT: Final = 40


def fullest(title: str, paths: Sequence[Path]) -> dict[Path, str]:
    return {path: _joined(_parts(title, path), _LONG) for path in dict.fromkeys(paths)}


def with_context(line: str, text: str) -> str:
    """What is embedded of a passage."""
    return f"{line}\n{text}" if line else text


def within(
    title: str, costed: Mapping[Path, tuple[str, int]], count_tokens: CountTokens, most: int
) -> dict[Path, tuple[str, int]]:
    """(line, tokens) of each path. A line that would cost more than `most` is told in fewer words."""
    shorter = {path: _shorter(title, path) for path, (_, cost) in costed.items() if cost > most}
    counts = iter(count_tokens([line for lines in shorter.values() for line in lines]) if shorter else [])
    found = dict(costed)
    for path, lines in shorter.items():
        affordable = [(line, cost) for line in lines if (cost := next(counts)) <= most]
        found[path] = affordable[0] if affordable else ("", 0)
    return found


def _shorter(title: str, path: Path) -> list[str]:
    """From the fullest to the shortest."""
    parts = _parts(title, path)
    return [
        _joined([*parts[:1], *parts[-2:]] if len(parts) > 3 else parts, _SHORT),
        _joined([*parts[:1], *parts[1:][-1:]], _SHORT // 2),
        _joined(parts[-1:], _SHORT // 2),
    ]


def _parts(title: str, path: Path) -> list[str]:
    """A title is often its own first heading."""
    kept: list[str] = []
    for part in (" ".join(part.split()) for part in (title, *path)):
        if part and (not kept or kept[-1].casefold() != part.casefold()):
            kept.append(part)
    return kept


def _joined(parts: Sequence[str], longest: int) -> str:
    return _SEPARATOR.join(_clipped(part, longest) for part in parts)


def _clipped(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    cut = text.rfind(" ", longest // 2, longest)
    return text[: cut if cut > 0 else longest] + "…"
