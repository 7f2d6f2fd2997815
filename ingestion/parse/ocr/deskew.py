"""Detection and correction of skew in scanned pages."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from cairn.library.rendition import Box

_SIDE: Final = 800
_MOST_DEGREES: Final = 6.0
_COARSE: Final = 1.0
_FINE: Final = 0.25
_BETTER: Final = 1.3  # lines of text are much sharper when straight; anything else is chance
_LEAST_DEGREES: Final = 0.4


def degrees(gray: Image.Image) -> float:
    """Return the counter-clockwise rotation that levels the text lines; 0 if unclear."""
    small = gray.copy()
    small.thumbnail((_SIDE, _SIDE))
    ink = Image.fromarray(255 - np.asarray(small))
    coarse = _best(ink, 0.0, _MOST_DEGREES, _COARSE)
    fine = _best(ink, coarse, _COARSE, _FINE)
    if abs(fine) < _LEAST_DEGREES or _sharpness(ink, fine) < _BETTER * _sharpness(ink, 0.0):
        return 0.0
    return fine


def _best(ink: Image.Image, middle: float, reach: float, step: float) -> float:
    steps = round(reach / step)
    angles = [middle + step * i for i in range(-steps, steps + 1)]
    return max(angles, key=lambda angle: _sharpness(ink, angle))


def _sharpness(ink: Image.Image, angle: float) -> float:
    """Measure how much rows differ from their neighbours, which is most when lines are level."""
    turned = np.asarray(ink.rotate(angle, Image.Resampling.BILINEAR), dtype=np.float32)
    return float(np.square(np.diff(turned.sum(axis=1))).sum())


@dataclass(frozen=True, slots=True)
class Turn:
    """Rotation of an image of `size` about its centre, counter-clockwise."""

    degrees: float
    size: tuple[int, int]

    def back(self, box: Box) -> Box:
        """Return the bounding box, in the original image, of a box in the rotated one."""
        left, top, right, bottom = box
        corners = [self._back(x, y) for x in (left, right) for y in (top, bottom)]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def _back(self, x: float, y: float) -> tuple[float, float]:
        angle = math.radians(self.degrees)
        across, down = x - self.size[0] / 2, y - self.size[1] / 2
        return (
            self.size[0] / 2 + across * math.cos(angle) - down * math.sin(angle),
            self.size[1] / 2 + across * math.sin(angle) + down * math.cos(angle),
        )
