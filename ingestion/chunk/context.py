"""The line that says where a passage stands: title > section > subsection."""

from collections.abc import Iterator, Sequence
from typing import Final

from ingestion.chunk.units import CountTokens

_SEPARATOR: Final = " > "
_LONG: Final = 90
_SHORT: Final = 40


def contexts(
    title: str, paths: Sequence[tuple[str, ...]], count_tokens: CountTokens, most: int
) -> dict[tuple[str, ...], tuple[str, int]]:
    """(line, tokens) of each path. A line that would cost more than `most` is told in fewer words."""
    unique = list(dict.fromkeys(paths))
    drafts = [list(_drafts(title, path)) for path in unique]
    counts = iter(count_tokens([line for lines in drafts for line in lines]) if unique else [])
    costed = [[(line, next(counts)) for line in lines] for lines in drafts]
    return {path: _first_within(lines, most) for path, lines in zip(unique, costed, strict=True)}


def _first_within(lines: Sequence[tuple[str, int]], most: int) -> tuple[str, int]:
    return next((found for found in lines if found[1] <= most), ("", 0))


def _drafts(title: str, path: tuple[str, ...]) -> Iterator[str]:
    """From the fullest to the shortest."""
    parts = _without_repeats([title, *path])
    yield _joined(parts, _LONG)
    yield _joined([*parts[:1], *parts[-2:]] if len(parts) > 3 else parts, _SHORT)
    yield _joined([*parts[:1], *parts[1:][-1:]], _SHORT // 2)
    yield _joined(parts[-1:], _SHORT // 2)


def _without_repeats(parts: Sequence[str]) -> list[str]:
    """A title is often its own first heading."""
    kept: list[str] = []
    for part in (" ".join(part.split()) for part in parts):
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
