"""Scatter and line plots as self-contained SVG files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 280, 60, 40, 30
STEPS: Final = 4
COLOURS: Final = ("#0b5cad", "#c2410c", "#15803d", "#7e22ce", "#be185d", "#0e7490", "#a16207", "#444", "#999")


@dataclass(frozen=True, slots=True)
class Plot:
    title: str
    across: str
    up: str
    points: Sequence[tuple[float, float]]
    line: bool = False
    lines: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """Further lines by name."""

    @property
    def most(self) -> tuple[float, float]:
        points = [*self.points, *(point for line in self.lines.values() for point in line)]
        return max((x for x, _ in points), default=1.0) or 1.0, max((y for _, y in points), default=1.0)

    def place(self, x: float, y: float) -> tuple[float, float]:
        right, top = self.most
        across = LEFT + x / right * (WIDTH - LEFT - 20)
        return across, HEIGHT - BOTTOM - max(0.0, y) / top * (HEIGHT - BOTTOM - TOP)


def plot_write(path: Path, plot: Plot) -> None:
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    style = 'font-family="sans-serif" font-size="12" fill="#444"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style} role="img">'
    parts = [head, f"<title>{escape(plot.title)}</title>", '<rect width="100%" height="100%" fill="#fff"/>']
    text = "\n".join([*parts, *_frame(plot), *_shapes(plot), *_lines(plot), "</svg>", ""])
    path.write_text(text, encoding="utf-8")


def _frame(plot: Plot) -> Iterator[str]:
    right, top = plot.most
    yield f'<text x="{LEFT}" y="18" font-weight="bold">{escape(plot.title)} ({escape(plot.up)})</text>'
    for step in range(STEPS + 1):
        x, _ = plot.place(right * step / STEPS, 0)
        _, y = plot.place(0, top * step / STEPS)
        yield f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * step / STEPS:.0f}</text>'
        label = f"{right * step / STEPS:.1f}"
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>'
    yield f'<text x="{WIDTH - 20}" y="{HEIGHT - 6}" text-anchor="end">{escape(plot.across)}</text>'


def _shapes(plot: Plot) -> Iterator[str]:
    places = [plot.place(x, y) for x, y in plot.points]
    if plot.line:
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{joined}" fill="none" stroke="#0b5cad" stroke-width="2"/>'
        return
    yield '<g fill="#0b5cad" fill-opacity="0.5">'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>' for x, y in places)
    yield "</g>"


def _lines(plot: Plot) -> Iterator[str]:
    for at, (name, points) in enumerate(plot.lines.items()):
        colour = COLOURS[at % len(COLOURS)]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in (plot.place(*point) for point in points))
        yield f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        where = f'x="{WIDTH - 24}" y="{TOP + 14 * (at + 1)}" text-anchor="end"'
        yield f'<text {where} style="fill:{colour}">{escape(name)}</text>'
