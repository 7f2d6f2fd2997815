"""Text in an accent colour, and on it, can be read in both colour schemes."""

import colorsys

import pytest

from cairn.settings.stored.contrast import (
    MIN_CONTRAST,
    contrast,
    dark_shades,
    is_readable,
    light_shades,
)

DARK, LIGHT = ("#191816", "#1f1e1b", "#282623"), ("#f6f5f1", "#fdfcfa", "#ffffff", "#eeece6")


def colours() -> list[str]:
    steps = [(hue / 24, light / 10, sat) for hue in range(24) for light in range(10) for sat in (0.3, 1.0)]
    found = (colorsys.hls_to_rgb(*step) for step in steps)
    return [f"#{''.join(f'{round(channel * 255):02x}' for channel in each)}" for each in found]


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#ffffff", "#777777") == pytest.approx(4.48, abs=0.01)


def test_accepted_colours_have_enough_contrast() -> None:
    taken = [each for each in colours() if is_readable(each)]
    assert 100 < len(taken) < len(colours())
    for colour in taken:
        for shades, grounds in ((light_shades(colour), LIGHT), (dark_shades(colour), DARK)):
            pairs = [(shades.accent, ground) for ground in grounds]
            pairs += [(shades.strong, ground) for ground in (*grounds, shades.soft)]
            pairs += [(shades.on_accent, shades.accent), (shades.on_accent, shades.strong)]
            pairs += [(shades.accent, shades.soft)]
            low = [pair for pair in pairs if contrast(*pair) < MIN_CONTRAST]
            assert not low, (colour, low)


def test_unreadable_colours_are_rejected() -> None:
    assert not any(map(is_readable, ("#ffff00", "#ffffff", "#00ff00", "#f0a0a0")))
    assert all(map(is_readable, ("#000000", "#1d6252", "#0000ff", "#b00020")))
