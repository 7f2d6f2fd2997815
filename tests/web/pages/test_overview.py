"""The overview: numbers of what one manages, and of nothing else."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone

from cairn.access.models import AccessCheck, CheckState, Role
from cairn.access.principals import principal_for_user
from cairn.access.services import knowledge_base_create
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase, VersionState
from ingestion.models import Job, Stage
from retrieval.gaps.models import Gap, GapQuestion, Why
from retrieval.models import Conversation, Message
from retrieval.statistics.models import AskedBase, AskedQuestion
from tests.bases import make_base
from tests.web.pages.conftest import text_of
from web.presentation.charts import Series, build_line_chart, build_stacked_chart, ceiling

SignIn = Callable[[User], Client]
HOSTILE = '</title><script>alert(1)</script>" onload="'
PAGE = "/admin"


@pytest.fixture
def ask(rob: User) -> Callable[..., AskedQuestion]:
    def asked(*bases: KnowledgeBase, days_ago: int = 0, **fields: Any) -> AskedQuestion:
        conversation = Conversation.objects.create(user=rob, title="t")
        message = Message.objects.create(conversation=conversation, question="Whose secret is this?")
        second = int((timezone.now() - timedelta(days=days_ago)).timestamp())
        given = {"verdict": "supported", **fields}
        row = AskedQuestion.objects.create(message=message, second=second, user=rob.id, **given)
        for base in bases:
            AskedBase.objects.create(question=row, knowledge_base=base, second=second)
        return row

    return asked


def tiles(html: str) -> dict[str, str]:
    tally = html.partition('<dl class="tally">')[2].partition("</dl>")[0]
    found = re.findall(r"<dt>([^<]+)</dt><dd class=\"num\">([^<]+)</dd><dd[^>]*>([^<]*)", tally)
    return {label: f"{value}|{change.strip()}" for label, value, change in found}


def test_overview_counts_only_managed_knowledge_bases(
    signed_in: SignIn, admin: User, mia: User, base: KnowledgeBase, ask: Callable[..., AskedQuestion]
) -> None:
    secret = knowledge_base_create(name="Secret plans", principal=principal_for_user(admin))
    ask(base), ask(secret), ask(base, secret, model="m", prompt_tokens=7)
    ask(secret, model="only-there", prompt_tokens=1), ask()
    mine = text_of(signed_in(mia).get(PAGE))
    assert tiles(mine)["Questions"].startswith("2|")
    assert "only-there" not in mine
    assert "Secret plans" not in mine
    everything = text_of(signed_in(admin).get(PAGE))
    assert tiles(everything)["Questions"].startswith("5|")
    assert "only-there" in everything
    assert tiles(text_of(signed_in(admin).get(f"{PAGE}?kb=secret-plans")))["Questions"].startswith("3|")
    for other in (f"{PAGE}?kb=secret-plans", f"{PAGE}?kb=nothing"):
        assert tiles(text_of(signed_in(mia).get(other)))["Questions"].startswith("2|")


def test_overview_hides_users_and_questions(
    signed_in: SignIn, mia: User, rob: User, base: KnowledgeBase, ask: Callable[..., AskedQuestion]
) -> None:
    ask(base)
    html = text_of(signed_in(mia).get(PAGE))
    assert tiles(html)["Active users"].startswith("1|")
    assert "Whose secret" not in html
    assert rob.username not in html


def test_overview_changes_compare_with_the_previous_period(
    signed_in: SignIn, mia: User, base: KnowledgeBase, ask: Callable[..., AskedQuestion]
) -> None:
    for days_ago in (0, 1, 2, 8, 9):
        ask(base, days_ago=days_ago, total_ms=2000 if days_ago < 7 else 4000)
    ask(base, days_ago=8, verdict="refused")
    found = tiles(text_of(signed_in(mia).get(f"{PAGE}?days=7")))
    assert found["Questions"] == "3|±0%"
    assert found["Supported"] == "100%|+33 points"
    assert found["Not answered"] == "0%|\N{MINUS SIGN}33 points"
    assert found["Median time to full answer"] == "2.0 s|\N{MINUS SIGN}50%"
    assert found["Rated helpful"] == "–|–"
    assert tiles(text_of(signed_in(mia).get(PAGE)))["Questions"].startswith("6|")


def test_percentages_are_localised(
    signed_in: SignIn, mia: User, base: KnowledgeBase, ask: Callable[..., AskedQuestion]
) -> None:
    ask(base)
    client = signed_in(mia)
    assert tiles(text_of(client.get(PAGE)))["Supported"].startswith("100%|")
    german = text_of(client.get(PAGE, headers={"Accept-Language": "de"}))
    assert tiles(german)["Belegt"].startswith("100\xa0%|")


@pytest.mark.parametrize("days", ["", "0", "8", "-7", "x", "9" * 40])
def test_invalid_periods_fall_back_to_the_default(
    signed_in: SignIn, mia: User, base: KnowledgeBase, days: str
) -> None:
    assert '<option value="30" selected>' in text_of(signed_in(mia).get(PAGE, {"days": days}))


def test_empty_overview_has_messages(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    html = text_of(signed_in(mia).get(PAGE))
    assert "Nothing right now." in html
    assert html.count("No data for this period.") == 6
    assert "Queue is empty." in html
    assert "No language model was used" in html
    assert "<svg role=" not in html


def test_overview_tasks_are_shown_to_responsible_people(
    signed_in: SignIn, admin: User, mia: User, document: Document, ask: Callable[..., AskedQuestion]
) -> None:
    other = knowledge_base_create(name="Elsewhere", principal=principal_for_user(admin))
    AccessCheck.objects.create(state=CheckState.LEAKED)
    version = document.latest_version
    assert version is not None
    version.state = VersionState.FAILED
    version.save()
    Document.objects.create(
        knowledge_base=other, source_key="a", title="A", review_by=timezone.now().date() - timedelta(days=1)
    )
    gap = Gap.objects.create(base_key="other")
    gap.knowledge_bases.add(other)
    GapQuestion.objects.create(gap=gap, message=ask(other).message, why=Why.REFUSED)
    mine = text_of(signed_in(mia).get(PAGE))
    assert "1 document failed to process." in mine
    assert "knowledge gap is open" not in mine
    assert "overdue for review" not in mine
    assert "found a leak" not in mine
    everything = text_of(signed_in(admin).get(PAGE))
    assert "1 document is overdue for review." in everything
    assert "1 knowledge gap is open." in everything
    assert everything.index("found a leak") < everything.index("failed to process")


def test_ingestion_is_counted_by_day(
    signed_in: SignIn, admin: User, mia: User, rob: User, document: Document
) -> None:
    html = text_of(signed_in(mia).get(PAGE))
    assert "1 document waiting" in html
    Job.objects.update(stage=Stage.FAILED)
    html = text_of(signed_in(mia).get(PAGE))
    assert re.search(r"Searchable 0, Failed 1\b", html)
    make_base(name="Other", principal=principal_for_user(rob))
    assert "Failed 1" not in text_of(signed_in(rob).get(PAGE))


def test_overview_text_is_escaped(signed_in: SignIn, admin: User, ask: Callable[..., AskedQuestion]) -> None:
    base = knowledge_base_create(name=HOSTILE, principal=principal_for_user(admin))
    ask(base, model=HOSTILE)
    html = text_of(signed_in(admin).get(PAGE))
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_labels_of_a_chart_are_text() -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC).date()
    chart = build_stacked_chart("c", HOSTILE, [day], [Series(HOSTILE, [3], "good")])
    html = render_to_string("pages/_chart.html", {"chart": chart})
    assert "<script>" not in html
    assert 'onload="' not in html
    assert html.count("<svg role=") == 1


def test_chart_has_a_title_and_a_data_table(
    signed_in: SignIn, mia: User, base: KnowledgeBase, ask: Callable[..., AskedQuestion]
) -> None:
    ask(base, first_token_ms=1500, total_ms=2500, rating="down")
    html = text_of(signed_in(mia).get(PAGE))
    charts = re.findall(r'<svg role="img".*?</svg>', html, re.DOTALL)
    assert len(charts) == 5
    for chart in charts:
        assert re.search(r'aria-labelledby="([\w-]+)"><title id="\1">', chart)
    assert html.count("<details") == 5
    assert "Median 1.5 s" in html


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (3, 3), (7, 8), (11, 15), (99, 100), (1000, 1000), (0.25, 0.3)]
)
def test_chart_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert ceiling(value) == pytest.approx(top)


def test_chart_line_has_gaps_for_missing_values() -> None:
    days = [datetime(2026, 3, day, tzinfo=UTC).date() for day in range(1, 6)]
    chart = build_line_chart("c", "t", days, [Series("s", [1, 2, None, None, 2], "good")])
    assert [line.points for line in chart.lines] == ["5.00,50.00 15.00,0.00", "45.00,0.00 45.00,0.00"]


def test_overview_needs_a_manager(
    signed_in: SignIn, rob: User, base: KnowledgeBase, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.EDITOR)
    assert signed_in(rob).get(PAGE).status_code == 403


def test_overview_lists_knowledge_bases_without_an_owner(
    signed_in: SignIn, admin: User, mia: User, base: KnowledgeBase
) -> None:
    assert "no owner" not in text_of(signed_in(admin).get(PAGE))
    KnowledgeBase.objects.update(owner=None)
    assert "1 knowledge base has no owner." in text_of(signed_in(admin).get(PAGE))
    assert "no owner" not in text_of(signed_in(mia).get(PAGE))
