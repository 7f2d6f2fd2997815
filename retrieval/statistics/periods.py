"""A number of days, as a time zone counts them, and the ones before them to compare with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import groupby, pairwise

from django.db.models import Case, F, IntegerField, Value, When
from django.db.models.expressions import CombinedExpression, Expression


@dataclass(frozen=True, slots=True)
class Period:
    """`bounds` has the first second of each of the `days`, and that of the day after."""

    days: Sequence[date]
    bounds: Sequence[int]

    @classmethod
    def of(cls, first: date, days: int, zone: tzinfo) -> "Period":
        dates = [first + timedelta(days=number) for number in range(days + 1)]
        return cls(dates[:-1], [_midnight(day, zone) for day in dates])

    @classmethod
    def ending(cls, last: date, days: int, zone: tzinfo) -> "Period":
        return cls.of(last - timedelta(days=days - 1), days, zone)

    @property
    def begin(self) -> int:
        return self.bounds[0]

    @property
    def end(self) -> int:
        return self.bounds[-1]

    def before(self, zone: tzinfo) -> "Period":
        return Period.of(self.days[0] - timedelta(days=len(self.days)), len(self.days), zone)

    def number(self, field: str) -> Expression:
        """Return the day's number, from 0, for a field in seconds.

        Days differ in length: when clocks change, one has 23 or 25 hours.
        """
        whens = [
            When(**{f"{field}__gte": begin}, then=_number(field, begin, first, length))
            for begin, first, length in reversed(list(self._runs()))
        ]
        return Case(*whens, default=Value(0), output_field=IntegerField())

    def _runs(self) -> Iterator[tuple[int, int, int]]:
        """Days of one length that follow each other: the first second, the first day's number, the length."""
        lengths = [(after - begin, number) for number, (begin, after) in enumerate(pairwise(self.bounds))]
        for length, run in groupby(lengths, key=lambda pair: pair[0]):
            first = next(run)[1]
            yield self.bounds[first], first, length


def _midnight(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time.min, tzinfo=zone).timestamp())


def _number(field: str, begin: int, first: int, length: int) -> CombinedExpression:
    """Whole numbers are divided as such by both databases."""
    return (F(field) - begin) / length + first
