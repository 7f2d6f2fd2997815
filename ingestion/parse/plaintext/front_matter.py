"""Front matter: YAML or TOML between fences at the top of a Markdown file."""

import re
import tomllib
from typing import Any, Final

import yaml

_FENCES: Final = {"---": ("---", "..."), "+++": ("+++",)}
_KEY: Final = re.compile(r"^[\"']?\w[\w .-]*+[\"']?[ \t]*[:=]", re.MULTILINE)
_TITLE: Final = re.compile(r"^title[ \t]*:[ \t]*([^\s{\[|>&*!%@`].*)$", re.MULTILINE | re.IGNORECASE)
_MOST_CHARACTERS: Final = 64_000  # of front matter that is read for its title


def split_front_matter(text: str) -> tuple[str | None, str, bool]:
    """Return the title, the text below, and whether there was front matter."""
    text = text.lstrip("\ufeff")
    opening, _, rest = text.partition("\n")
    fence = opening.rstrip()
    lines = rest.split("\n")
    end = next((i for i, line in enumerate(lines) if line.rstrip() in _FENCES.get(fence, ())), None)
    if end is None:
        return None, text, False
    block = "\n".join(lines[:end])
    if block.strip() and not _KEY.search(block):  # text between two horizontal rules
        return None, text, False
    return _title(block, fence), "\n".join(lines[end + 1 :]), True


def _title(block: str, fence: str) -> str | None:
    if len(block) > _MOST_CHARACTERS:
        return None
    values = _values(block, fence)
    if isinstance(values, dict):
        title = next((value for key, value in values.items() if str(key).lower() == "title"), None)
        return " ".join(title.split()) or None if isinstance(title, str) else None
    line = _TITLE.search(block) if fence == "---" else None  # another line may be invalid YAML
    return line[1].strip().strip("\"'") or None if line else None


def _values(block: str, fence: str) -> Any:
    """Parse the block. The base loader makes every value a string, and creates no objects."""
    try:
        if fence == "+++":
            return tomllib.loads(block)
        return yaml.load(block, Loader=yaml.CBaseLoader)  # noqa: S506
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError, ValueError):
        return None
