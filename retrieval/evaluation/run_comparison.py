"""Comparison of two runs: the change of each question, and of each measure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from retrieval.evaluation.metrics import LOWER_IS_BETTER, Measures
from retrieval.evaluation.question_results import Asked


class Change(StrEnum):
    WORSE = "worse"
    BETTER = "better"
    BOTH_WRONG = "both_wrong"
    BOTH_RIGHT = "both_right"


_CHANGES = {
    (True, False): Change.BETTER,
    (False, True): Change.WORSE,
    (False, False): Change.BOTH_WRONG,
    (True, True): Change.BOTH_RIGHT,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of a question that both runs asked."""

    change: Change
    now: Asked
    before: Asked


def change_of(*, now: bool, before: bool) -> Change:
    """Return what became of a question that was right now or before, or not."""
    return _CHANGES[now, before]


def differences(now: Iterable[Asked], before: Iterable[Asked]) -> list[Difference]:
    """Worse ones first, each group in the order asked. Questions that only one run asked are left out."""
    known = {asked.id: asked for asked in before}
    both = [(each, known[each.id]) for each in now if each.id in known]
    found = [Difference(change_of(now=each.right, before=was.right), each, was) for each, was in both]
    order = list(Change)
    return sorted(found, key=lambda difference: order.index(difference.change))


def ids_of(found: Sequence[Difference], change: Change) -> list[str]:
    return sorted(each.now.id for each in found if each.change is change)


@dataclass(frozen=True, slots=True)
class MeasureChange:
    """`better`: None where nothing has changed or one of the two is not known."""

    name: str
    now: float | None
    before: float | None
    better: bool | None

    @property
    def by(self) -> float | None:
        return None if self.now is None or self.before is None else self.now - self.before


def measure_changes(now: Measures, before: Mapping[str, float | None]) -> list[MeasureChange]:
    return [_measure_change(name, value, before.get(name)) for name, value in now.items()]


def _measure_change(name: str, now: float | None, before: float | None) -> MeasureChange:
    same = now is None or before is None or now == before
    rose = now is not None and before is not None and now > before
    return MeasureChange(name, now, before, None if same else rose != (name in LOWER_IS_BETTER))
