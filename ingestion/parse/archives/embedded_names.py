"""Names of embedded files: unique and of limited length."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final

_LONGEST: Final = 400


def make_unique(names: Sequence[str]) -> list[str]:
    """Return the names in the same order, with numbers added to repeated ones, as in `report (2).pdf`."""
    taken: set[str] = set()
    given: list[str] = []
    numbers: dict[str, int] = {}
    for name in map(_shorten_name, names):
        chosen = name
        while chosen in taken:
            numbers[name] = numbers.get(name, 1) + 1
            chosen = _add_number(name, numbers[name])
        taken.add(chosen)
        given.append(chosen)
    return given


def _add_number(name: str, number: int) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem} ({number}){path.suffix}")) if path.name else f"{name} ({number})"


def _shorten_name(name: str) -> str:
    """Shorten a name in the middle, leaving its extension."""
    if len(name) <= _LONGEST:
        return name
    digest = sha256(name.encode()).hexdigest()[:12]
    return f"{name[: _LONGEST // 2]}…{digest}…{name[-_LONGEST // 3 :]}"
