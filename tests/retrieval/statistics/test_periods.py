"""Days are counted as a time zone has them, by the database."""

from datetime import date, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from cairn.accounts.models import User
from retrieval.models import Conversation, Message
from retrieval.statistics.models import AskedQuestion
from retrieval.statistics.periods import Period
from retrieval.statistics.question_counts import (
    counts_by_day,
    filter_questions,
    percentiles_by_day,
    percentiles_of,
    summary_of,
    tokens_of,
)

KOLKATA, BERLIN = ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/Berlin")
pytestmark = pytest.mark.django_db


def asked(at: str, zone: ZoneInfo, **fields: object) -> AskedQuestion:
    """Record a question. `at` is local time in that zone."""
    user, _ = User.objects.get_or_create(username=str(fields.pop("by", "ada")))
    conversation = Conversation.objects.create(user=user, title="t")
    message = Message.objects.create(conversation=conversation, question="?")
    second = int(datetime.fromisoformat(at).replace(tzinfo=zone).timestamp())
    return AskedQuestion.objects.create(message=message, second=second, user=user.id, **fields)


def test_day_begins_at_midnight_of_the_time_zone() -> None:
    """Half past midnight in Kolkata is the evening before in UTC."""
    for at in ("2026-03-01T23:59:59", "2026-03-02T00:00:00", "2026-03-02T00:30:00", "2026-03-03T23:59:59"):
        asked(at, KOLKATA)
    asked("2026-02-28T23:59:59", KOLKATA)  # before
    asked("2026-03-04T00:00:00", KOLKATA)  # after
    period = Period.ending(date(2026, 3, 3), 3, KOLKATA)
    assert [each.questions for each in counts_by_day(filter_questions(period, None), period)] == [1, 2, 1]
    assert summary_of(filter_questions(period.before(KOLKATA), None)).counts.questions == 1


@pytest.mark.parametrize(
    ("changing", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)], ids=["forward", "back"]
)
def test_days_on_which_clocks_change_are_shorter_or_longer(changing: date, hours: int) -> None:
    period = Period.ending(changing.replace(day=changing.day + 2), 5, BERLIN)
    for day in period.days:
        for clock in ("00:00:00", "23:59:59"):
            asked(f"{day}T{clock}", BERLIN)
    assert period.bounds[3] - period.bounds[2] == hours * 3600
    assert [each.questions for each in counts_by_day(filter_questions(period, None), period)] == [2] * 5


def test_statistics_match_rows_counted_by_hand() -> None:
    day = "2026-03-02T12:00:00"
    asked(day, BERLIN, verdict="supported", rating="up", model="small", prompt_tokens=10, completion_tokens=1)
    asked(day, BERLIN, verdict="partial", rating="down", model="large", prompt_tokens=500, by="bob")
    asked(day, BERLIN, verdict="refused", by="bob")
    asked(day, BERLIN, by="bob")
    period = Period.ending(date(2026, 3, 2), 2, BERLIN)
    rows = filter_questions(period, None)
    before, today = counts_by_day(rows, period)
    assert before.questions == 0
    assert (today.questions, today.people) == (4, 2)
    assert (today.supported, today.partial, today.refused, today.unfinished) == (1, 1, 1, 1)
    assert (today.up, today.down) == (1, 1)
    summary = summary_of(rows)
    assert summary.counts == today
    assert (summary.supported, summary.refused, summary.helpful) == (1 / 3, 1 / 3, 0.5)
    assert summary.tokens == 511
    assert [(each.model, each.questions, each.prompt, each.completion) for each in tokens_of(rows)] == [
        ("large", 1, 500, 0),
        ("small", 1, 10, 1),
    ]


def test_percentiles_use_the_nearest_rank() -> None:
    for number in range(1, 21):
        asked("2026-03-02T12:00:00", BERLIN, total_ms=number * 100)
    asked("2026-03-01T12:00:00", BERLIN, total_ms=7)
    asked("2026-03-01T12:00:00", BERLIN, total_ms=None)
    period = Period.ending(date(2026, 3, 2), 3, BERLIN)
    none, one, twenty = percentiles_by_day(filter_questions(period, None), "total_ms", period)
    assert (none.p50, none.p95) == (None, None)
    assert (one.p50, one.p95) == (7, 7)
    assert (twenty.p50, twenty.p95) == (1000, 1900)
    assert percentiles_of(filter_questions(period, None), "total_ms").p95 == 1900
    assert percentiles_of(filter_questions(period, [uuid4()]), "total_ms").p50 is None


def test_shares_are_absent_without_rows() -> None:
    period = Period.ending(date(2026, 3, 2), 7, BERLIN)
    summary = summary_of(filter_questions(period, None))
    assert (summary.counts.questions, summary.tokens) == (0, 0)
    assert (summary.supported, summary.helpful, summary.whole.p50) == (None, None, None)
