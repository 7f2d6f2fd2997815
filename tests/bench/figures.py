"""Figures beside their targets, as a table and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    target: float | None = None
    more_is_better: bool = False

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.more_is_better else self.value <= self.target


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def show(figures: Sequence[Figure], console: Console, *, file: Path | None) -> None:
    table = Table("what", "figure", "unit", "target", "met")
    for figure in figures:
        table.add_row(figure.name, _number(figure.value), figure.unit, _target(figure), _met(figure))
    console.print(table)
    text = json.dumps([{**asdict(figure), "met": figure.met} for figure in figures], indent=2)
    console.print_json(text)
    if file:
        file.write_text(text, encoding="utf-8")


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'≥' if figure.more_is_better else '≤'} {figure.target:g}"


def _met(figure: Figure) -> str:
    return {None: "", True: "yes", False: "NO"}[figure.met]
