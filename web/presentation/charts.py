"""Charts as SVG shapes, for `pages/_chart.html`, with the underlying numbers as a table.

A plot is stretched to the available space, so it contains no text, which surrounds it as HTML. Coordinates
are strings, since a template would localize numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from math import floor, log10
from typing import Final

from django.utils.formats import date_format
from django.utils.functional import Promise

Text = str | Promise
Number = float | int
HEIGHT: Final = 100
WIDTH_OF_A_DAY: Final = 10
GAP: Final = 2
NOTHING: Final = "–"
STEPS: Final = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Series:
    """One value a day, or None. `tone` names a colour of the stylesheet."""

    label: Text
    values: Sequence[Number | None]
    tone: str


@dataclass(frozen=True, slots=True)
class Bar:
    x: str
    y: str
    width: str
    height: str
    tone: str


@dataclass(frozen=True, slots=True)
class Column:
    """One day over the whole height, with its tooltip and bars."""

    tooltip: str
    x: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Line:
    points: str
    tone: str


@dataclass(frozen=True, slots=True)
class Row:
    day: date
    values: Sequence[Number | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. `decimals` of numbers in the table; `top` is the value at the upper edge."""

    name: str
    title: Text
    days: Sequence[date]
    series: Sequence[Series]
    top: Number
    decimals: int
    unit: Text
    columns: Sequence[Column]
    lines: Sequence[Line] = ()

    @property
    def width(self) -> int:
        return WIDTH_OF_A_DAY * len(self.days)

    @property
    def middle(self) -> date:
        return self.days[len(self.days) // 2]

    @property
    def rows(self) -> list[Row]:
        """Table rows, the last day first."""
        values = zip(*(each.values for each in self.series), strict=True)
        return [Row(day, row) for day, row in zip(self.days, values, strict=True)][::-1]

    @property
    def is_empty(self) -> bool:
        return not any(value for each in self.series for value in each.values)


def build_stacked_chart(name: str, title: Text, days: Sequence[date], series: Sequence[Series]) -> Chart:
    """Build a stacked bar chart with a bar a day."""
    sums = [sum(each.values[at] or 0 for each in series) for at in range(len(days))]
    top = ceiling(max(sums, default=0))
    columns = [_column(at, day, series, top, 0, "") for at, day in enumerate(days)]
    return Chart(name, title, days, series, top, 0, "", columns)


def build_line_chart(
    name: str,
    title: Text,
    days: Sequence[date],
    series: Sequence[Series],
    *,
    unit: Text = "",
    decimals: int = 0,
) -> Chart:
    """Build a line chart with gaps on days without a value."""
    top = ceiling(max((value or 0 for each in series for value in each.values), default=0))
    columns = [_column(at, day, series, 0, decimals, unit) for at, day in enumerate(days)]
    drawn = [line for each in series for line in _lines(each, top)]
    return Chart(name, title, days, series, top, decimals, unit, columns, drawn)


def ceiling(value: Number) -> Number:
    """Return the next round number."""
    if value <= 0:
        return 1
    power: Number = 10 ** floor(log10(value))
    return next(step * power for step in STEPS if step * power >= value)


def _column(at: int, day: date, series: Sequence[Series], top: Number, decimals: int, unit: Text) -> Column:
    text = ", ".join(
        f"{each.label} {value:.{decimals}f}{unit and f' {unit}'}"
        for each in series
        if (value := each.values[at]) is not None
    )
    bars = list(_bars(at, series, top)) if top else []
    dated = date_format(day, "SHORT_DATE_FORMAT")
    return Column(f"{dated}: {text or NOTHING}", str(at * WIDTH_OF_A_DAY), bars)


def _bars(at: int, series: Sequence[Series], top: Number) -> Iterator[Bar]:
    """Yield bars from the bottom up."""
    ground = 0.0
    for each in series:
        if value := each.values[at]:
            height = value / top * HEIGHT
            ground += height
            yield Bar(
                x=str(at * WIDTH_OF_A_DAY + GAP / 2),
                y=f"{HEIGHT - ground:.2f}",
                width=str(WIDTH_OF_A_DAY - GAP),
                height=f"{height:.2f}",
                tone=each.tone,
            )


def _lines(series: Series, top: Number) -> Iterator[Line]:
    for there, run in groupby(enumerate(series.values), key=lambda pair: pair[1] is not None):
        if there:
            points = [(_middle(at), HEIGHT - (value or 0) / top * HEIGHT) for at, value in run]
            if len(points) == 1:
                points *= 2  # of no length, which round ends draw as a dot
            yield Line(" ".join(f"{x:.2f},{y:.2f}" for x, y in points), series.tone)


def _middle(at: int) -> float:
    return (at + 0.5) * WIDTH_OF_A_DAY
