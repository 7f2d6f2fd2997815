"""An accent colour in both colour schemes, with text that stays readable (WCAG 2, contrast of 4.5:1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MIN_CONTRAST: Final = 4.5
Rgb = tuple[int, int, int]
# The backgrounds of cairn.css against which an accent contrasts least, and those that tints start from.
_LIGHT_GROUNDS: Final = ("#eeece6", "#e9e6df")
_DARK_GROUNDS: Final = ("#282623", "#2e2c28")
_LIGHT_SURFACE: Final = "#fdfcfa"
_DARK_SURFACE: Final = "#1f1e1b"
_STEPS: Final = 20


@dataclass(frozen=True, slots=True)
class Shades:
    """The accent tokens of one colour scheme."""

    accent: str
    strong: str
    on_accent: str
    soft: str


def is_readable(color: str) -> bool:
    """Return whether text in this colour can be read on light pages, and white text on it."""
    return _contrasts(color, *_LIGHT_GROUNDS)


def light_shades(color: str) -> Shades:
    strong = _mix(color, "#000000", 0.25)
    return Shades(color, strong, "#ffffff", _soft_shade(color, color, _LIGHT_SURFACE))


def dark_shades(color: str) -> Shades:
    """Lighten the colour until it can be read on dark pages."""
    lighter = (_mix(color, "#ffffff", step / _STEPS) for step in range(_STEPS + 1))
    accent = next(each for each in lighter if _contrasts(each, *_DARK_GROUNDS))
    strong = _mix(accent, "#ffffff", 0.3)
    return Shades(accent, strong, "#0e0e0d", _soft_shade(color, accent, _DARK_SURFACE))


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours such as #1d6252, from 1 to 21."""
    lighter, darker = sorted((_luminance(_parse(first)), _luminance(_parse(second))), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _soft_shade(color: str, text: str, surface: str) -> str:
    """Return the strongest tint of the surface that `text` can be read on."""
    tints: Iterator[str] = (_mix(surface, color, share / 100) for share in range(14, 0, -1))
    return next((tint for tint in tints if _contrasts(text, tint)), surface)


def _contrasts(color: str, *grounds: str) -> bool:
    return all(contrast(color, ground) >= MIN_CONTRAST for ground in grounds)


def _mix(color: str, other: str, share: float) -> str:
    pairs = zip(_parse(color), _parse(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _parse(color: str) -> Rgb:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def _luminance(color: Rgb) -> float:
    red, green, blue = (_linearize(channel / 255) for channel in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linearize(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
