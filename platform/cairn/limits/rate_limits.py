"""Rate limiting: counts usage against limits and quotas.

The database counts, so any number of processes may do so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.scope import Principal
from cairn.errors import QuotaExceeded, RateLimited
from cairn.limits.models import Usage
from cairn.limits.rules import Allowance, Measure, Most, allowance_of
from cairn.messages import CodedMessage, Term

MINUTE: Final = 60
MB: Final = 1 << 20
NEVER: Final = Q(pk__in=())
PER_MINUTE: Final = {
    "questions": Measure.QUESTIONS_PER_MINUTE,
    "searches": Measure.SEARCHES_PER_MINUTE,
    "uploads": Measure.UPLOADS_PER_MINUTE,
}
PER_DAY: Final = {
    "questions": Measure.QUESTIONS_PER_DAY,
    "tokens": Measure.TOKENS_PER_DAY,
    "uploads": Measure.UPLOADS_PER_DAY,
    "bytes": Measure.UPLOAD_MB_PER_DAY,
}
KINDS: Final = ("questions", "searches", "tokens", "uploads", "bytes")
_CODES: Final = {
    Measure.QUESTIONS_PER_MINUTE: "questions_per_minute",
    Measure.SEARCHES_PER_MINUTE: "searches_per_minute",
    Measure.UPLOADS_PER_MINUTE: "uploads_per_minute",
    Measure.QUESTIONS_PER_DAY: "questions_per_day",
    Measure.TOKENS_PER_DAY: "model_tokens_per_day",
    Measure.UPLOADS_PER_DAY: "uploads_per_day",
    Measure.UPLOAD_MB_PER_DAY: "uploaded_mb_per_day",
}


@dataclass(frozen=True, slots=True)
class Spending:
    """A planned use, by kind. 0: the amount is not known yet, but something must be left."""

    allowance: Allowance
    amounts: Mapping[str, int]
    at: datetime

    @property
    def day(self) -> date:
        return self.at.astimezone(UTC).date()

    @property
    def minute(self) -> int:
        return int(self.at.timestamp()) // MINUTE


def question_charge(principal: Principal, allowance: Allowance) -> None:
    """Raises RateLimited or QuotaExceeded, as the others do, and then counts nothing."""
    _spend(principal, allowance, {"questions": 1, "tokens": 0})


def upload_count(principal: Principal, *, size: int, files: int = 1) -> None:
    """Count an upload of `size` bytes: all files, or none if that exceeds a limit."""
    _spend(principal, allowance_of(principal), {"uploads": files, "bytes": size})


def search_count(principal: Principal) -> None:
    """Count a search, unless nothing limits it: the write would take longer than the search."""
    allowance = allowance_of(principal)
    if allowance.most[Measure.SEARCHES_PER_MINUTE] is not None:
        _spend(principal, allowance, {"searches": 1})


def tokens_charge(principal: Principal, allowance: Allowance, tokens: int) -> None:
    """Count the tokens of a finished answer; never refused."""
    if tokens and principal.viewer is None:
        spending = Spending(allowance, {"tokens": tokens}, timezone.now())
        _ensure_rows(spending)
        _rows(spending).update(tokens=F("tokens") + tokens)


def used_today(allowance: Allowance) -> dict[str, int]:
    today = timezone.now().astimezone(UTC).date()
    row = Usage.objects.filter(owner=allowance.owner, day=today).values(*KINDS).first()
    return {kind: row[kind] if row else 0 for kind in KINDS}


def usage_tidy() -> None:
    """Delete the usage of past days."""
    Usage.objects.filter(day__lt=timezone.now().astimezone(UTC).date()).delete()


def _spend(principal: Principal, allowance: Allowance, amounts: Mapping[str, int]) -> None:
    """Count the use, except for an admin who views Cairn as this user, who isn't responsible for it."""
    if principal.viewer is not None:
        return
    spending = Spending(allowance, amounts, timezone.now())
    if _try_count(spending):
        return
    _ensure_rows(spending)  # the first time on this day, or there is not enough left
    if not _try_count(spending):
        raise _refusal(spending)


def _try_count(spending: Spending) -> bool:
    """Count all of it and return True if it fits, else count nothing. It is a single statement, so that
    simultaneous requests count each other."""
    owners = spending.allowance.owners
    with transaction.atomic():
        rows, fits = _rows(spending), _fits(spending)
        fitting = rows.filter(~Q(owner=spending.allowance.owner) | fits) if fits else rows
        done = fitting.update(**_build_increments(spending)) == len(owners)
        if not done:
            transaction.set_rollback(True)
    return done


def _rows(spending: Spending) -> "QuerySet[Usage]":
    return Usage.objects.filter(day=spending.day, owner__in=spending.allowance.owners)


def _ensure_rows(spending: Spending) -> None:
    rows = [Usage(day=spending.day, owner=owner) for owner in spending.allowance.owners]
    Usage.objects.bulk_create(rows, ignore_conflicts=True)


def _build_increments(spending: Spending) -> dict[str, Any]:
    """Return the new counts. In a new minute, all counts per minute start at zero."""
    amounts, same_minute = spending.amounts, Q(minute=spending.minute)
    by_day = {kind: F(kind) + amount for kind, amount in amounts.items()}
    by_minute = {
        f"minute_{kind}": Case(
            When(same_minute, then=F(f"minute_{kind}") + amounts.get(kind, 0)),
            default=Value(amounts.get(kind, 0)),
        )
        for kind in PER_MINUTE
    }
    return {**by_day, **by_minute, "minute": Value(spending.minute)}


def _fits(spending: Spending) -> Q:
    fits = Q()
    for kind, amount in spending.amounts.items():
        fits &= _fits_day(kind, amount, _most_of_day(spending, kind))
        fits &= _fits_minute(kind, amount, _most_of_minute(spending, kind), spending.minute)
    return fits


def _fits_day(kind: str, amount: int, most: Most) -> Q:
    return Q() if most is None else Q(**{f"{kind}__lte": most - (amount or 1)})


def _fits_minute(kind: str, amount: int, most: Most, minute: int) -> Q:
    if most is None:
        return Q()
    if amount > most:
        return NEVER
    return ~Q(minute=minute) | Q(**{f"minute_{kind}__lte": most - amount})


def _most_of_day(spending: Spending, kind: str) -> Most:
    most = spending.allowance.most[PER_DAY[kind]] if kind in PER_DAY else None
    return most * MB if most is not None and kind == "bytes" else most


def _most_of_minute(spending: Spending, kind: str) -> Most:
    return spending.allowance.most[PER_MINUTE[kind]] if kind in PER_MINUTE else None


def _refusal(spending: Spending) -> RateLimited | QuotaExceeded:
    """Return the error for the exhausted limit. Daily limits come first, as they take longest to reset."""
    row = Usage.objects.filter(day=spending.day, owner=spending.allowance.owner).first()
    for kind, amount in spending.amounts.items():
        most = _most_of_day(spending, kind)
        if most is not None and getattr(row, kind, 0) + (amount or 1) > most:
            return QuotaExceeded(
                _limit_message(spending, PER_DAY[kind]), retry_after=_seconds_left_of_day(spending)
            )
    measure = next(PER_MINUTE[kind] for kind in spending.amounts if kind in PER_MINUTE)
    return RateLimited(
        _limit_message(spending, measure), retry_after=MINUTE - int(spending.at.timestamp()) % MINUTE
    )


def _limit_message(spending: Spending, measure: Measure) -> CodedMessage:
    when = (
        gettext_noop("tomorrow (midnight UTC)")
        if measure in PER_DAY.values()
        else gettext_noop("in a minute")
    )
    limit = CodedMessage(_CODES[measure], most=spending.allowance.most[measure])
    return CodedMessage("limit_reached", limit=limit, when=Term(when))


def _seconds_left_of_day(spending: Spending) -> int:
    midnight = datetime.combine(spending.day + timedelta(days=1), time(), UTC)
    return max(1, int((midnight - spending.at).total_seconds()) + 1)
