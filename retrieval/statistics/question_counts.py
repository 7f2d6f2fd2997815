"""Counts of questions. The database counts, and returns a few rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, Q, QuerySet, Sum, Value, Window
from django.db.models.functions import CumeDist

from cairn.access.models import ArtifactKind, CheckArtifact
from cairn.answers import Verdict
from retrieval.statistics.models import AskedBase, AskedQuestion
from retrieval.statistics.periods import Period

COUNTS: Final[Mapping[str, Count]] = {
    "questions": Count("*"),
    "people": Count("user", distinct=True),
    "supported": Count("pk", filter=Q(verdict=Verdict.SUPPORTED)),
    "partial": Count("pk", filter=Q(verdict=Verdict.PARTIAL)),
    "refused": Count("pk", filter=Q(verdict=Verdict.REFUSED)),
    "unfinished": Count("pk", filter=Q(verdict="")),
    "up": Count("pk", filter=Q(rating="up")),
    "down": Count("pk", filter=Q(rating="down")),
}
MEDIAN, SLOW = 0.5, 0.95


@dataclass(frozen=True, slots=True)
class Counts:
    """`unfinished`: stopped or failed."""

    questions: int = 0
    people: int = 0
    supported: int = 0
    partial: int = 0
    refused: int = 0
    unfinished: int = 0
    up: int = 0
    down: int = 0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds; None where nothing was measured."""

    p50: int | None = None
    p95: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Shares are of answers with a verdict, or of those with feedback; None where there is none."""

    counts: Counts
    tokens: int
    first: Percentiles
    whole: Percentiles

    @property
    def supported(self) -> float | None:
        return _share(self.counts.supported, self.judged)

    @property
    def refused(self) -> float | None:
        return _share(self.counts.refused, self.judged)

    @property
    def helpful(self) -> float | None:
        return _share(self.counts.up, self.counts.up + self.counts.down)

    @property
    def judged(self) -> int:
        return self.counts.questions - self.counts.unfinished


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class ModelTokens:
    model: str
    questions: int
    prompt: int
    completion: int


def filter_questions(period: Period, bases: Collection[UUID] | None) -> "QuerySet[AskedQuestion]":
    """`bases`: only what touches one of them; None for all that was asked,
    except by an access check that is running."""
    rows = AskedQuestion.objects.filter(second__gte=period.begin, second__lt=period.end)
    rows = rows.exclude(user__in=CheckArtifact.objects.ids(ArtifactKind.USER))
    if bases is None:
        return rows
    about = AskedBase.objects.filter(
        second__gte=period.begin, second__lt=period.end, knowledge_base__in=bases
    )
    return rows.filter(pk__in=about.values("question"))


def counts_by_day(rows: "QuerySet[AskedQuestion]", period: Period) -> list[Counts]:
    found = rows.annotate(day=period.number("second")).order_by().values("day").annotate(**COUNTS)
    by_day = {day: Counts(*counts) for day, *counts in found.values_list("day", *COUNTS)}
    return [by_day.get(number, Counts()) for number in range(len(period.days))]


def summary_of(rows: "QuerySet[AskedQuestion]") -> Summary:
    found = rows.aggregate(**COUNTS, tokens=Sum(F("prompt_tokens") + F("completion_tokens"), default=0))
    tokens = found.pop("tokens")
    first, whole = (percentiles_of(rows, field) for field in ("first_token_ms", "total_ms"))
    return Summary(Counts(**found), tokens, first, whole)


def tokens_of(rows: "QuerySet[AskedQuestion]") -> list[ModelTokens]:
    """Sum the tokens by model, the most expensive first. Questions without a model are left out."""
    found = rows.exclude(model="").order_by().values("model")
    summed = found.annotate(
        questions=Count("*"), prompt=Sum("prompt_tokens"), completion=Sum("completion_tokens")
    )
    models = [ModelTokens(**row) for row in summed]
    return sorted(models, key=lambda each: (-each.prompt - each.completion, each.model))


def percentiles_by_day(rows: "QuerySet[AskedQuestion]", field: str, period: Period) -> list[Percentiles]:
    found = _percentiles(rows, field, period.number("second"))
    return [found.get(number, Percentiles()) for number in range(len(period.days))]


def percentiles_of(rows: "QuerySet[AskedQuestion]", field: str) -> Percentiles:
    return _percentiles(rows, field, Value(0)).get(0, Percentiles())


def _percentiles(rows: "QuerySet[AskedQuestion]", field: str, part: Any) -> dict[int, Percentiles]:
    """The nearest rank: the least value that so many reach. SQLite has no function for it, but both have
    `cume_dist`, and Django does not put an aggregate round a window."""
    parted = rows.exclude(**{field: None}).order_by().annotate(part=part)
    reached = Window(CumeDist(), partition_by=[F("part")], order_by=F(field).asc())
    inner, params = parted.annotate(reached=reached).values("part", field, "reached").query.sql_with_params()
    name = connection.ops.quote_name(field)
    sql = (
        f"SELECT part, MIN(CASE WHEN reached >= {MEDIAN} THEN {name} END),"  # noqa: S608 - constants, and a column's name
        f" MIN(CASE WHEN reached >= {SLOW} THEN {name} END) FROM ({inner}) AS ranked GROUP BY part"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {part: Percentiles(median, slow) for part, median, slow in cursor.fetchall()}
