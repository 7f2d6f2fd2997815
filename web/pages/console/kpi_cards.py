"""KPI cards of the overview, with changes against the previous period."""

from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from retrieval.statistics.question_counts import Summary
from web.i18n.localize import percent

PERCENT = 100
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Tile:
    """A number. `tone`: better, worse, or empty if a change is neither."""

    label: str
    value: str
    change: str
    tone: str


def tiles_of(now: Summary, before: Summary) -> list[Tile]:
    return [
        _build_count_tile(_("Questions"), now.counts.questions, before.counts.questions),
        _build_count_tile(_("Active users"), now.counts.people, before.counts.people),
        _share(_("Supported"), now.supported, before.supported, good=1),
        _share(_("Not answered"), now.refused, before.refused, good=-1),
        _share(_("Rated helpful"), now.helpful, before.helpful, good=1),
        _duration_card(_("Median time to first word"), now.first.p50, before.first.p50),
        _duration_card(_("Median time to full answer"), now.whole.p50, before.whole.p50),
        _build_count_tile(_("Tokens"), now.tokens, before.tokens),
    ]


def _build_count_tile(label: str, now: int, before: int) -> Tile:
    change = round((now - before) / before * PERCENT) if before else None
    return Tile(label, _number(now), _format_change(change), "")


def _share(label: str, now: float | None, before: float | None, *, good: int) -> Tile:
    value = "–" if now is None else percent(now)
    change = None if now is None or before is None else round((now - before) * PERCENT)
    return Tile(label, value, _format_change(change, _("points")), _tone(change, good))


def _duration_card(label: str, now: int | None, before: int | None) -> Tile:
    value = "–" if now is None else f"{_number(now / 1000, 1)} s"
    change = round((now - before) / before * PERCENT) if now is not None and before else None
    return Tile(label, value, _format_change(change), _tone(change, -1))


def _tone(change: int | None, good: int) -> str:
    return "" if not change else "better" if change * good > 0 else "worse"


def _format_change(change: int | None, unit: str = "") -> str:
    """Format a change in `unit`, by default in percent."""
    if change is None:
        return ""
    sign = "+" if change > 0 else MINUS if change < 0 else "±"
    return sign + (f"{_number(abs(change))} {unit}" if unit else percent(abs(change) / PERCENT))


def _number(value: float, decimals: int = 0) -> str:
    return number_format(value, decimals, use_l10n=True, force_grouping=True)
