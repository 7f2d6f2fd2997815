"""Evaluation runs: quality of search and answers by question, and comparison of two runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_safe

from cairn.access.models import Role
from cairn.access.scope import Principal
from cairn.access.selectors import require_role_anywhere
from retrieval.evaluation.models import EvaluationRun
from retrieval.evaluation.question_results import Asked
from retrieval.evaluation.run_comparison import Change, Difference, differences, measure_changes
from retrieval.evaluation.runs import load_outcomes, run_for, runs_for
from retrieval.evaluation.significance import CONFIDENCE, PairedTest, compare_pairs
from web.i18n.localize import number, percent
from web.pages.console import metric_format
from web.pages.console.gold_questions import gold_counts
from web.pages.library.knowledge_bases import base_cards
from web.pages.shell.decorators import number_in, page, show
from web.presentation.markdown import render_markdown

RUNS_SHOWN: Final = 30
GOLD_SHOWN: Final = 50
QUESTIONS_SHOWN: Final = 100
COMPARABLE: Final = 100
WRONG: Final = "wrong"
KIND_LABELS: Final[dict[str, str]] = {
    "paraphrase": gettext_noop("paraphrase"),
    "keyword": gettext_noop("keyword"),
    "typo": gettext_noop("typo"),
    "code": gettext_noop("code"),
    "two_pages": gettext_noop("two pages"),
    "follow_up": gettext_noop("follow up"),
    "unanswerable": gettext_noop("unanswerable"),
    "near_miss": gettext_noop("near miss"),
}
CHANGES: Final = (
    (Change.WORSE, gettext_noop("Worse"), gettext_noop("No longer correct")),
    (Change.BETTER, gettext_noop("Better"), gettext_noop("Now correct")),
    (
        Change.BOTH_WRONG,
        gettext_noop("Wrong in both"),
        gettext_noop("Wrong in both runs"),
    ),
)


@dataclass(frozen=True, slots=True)
class RunItem:
    run: EvaluationRun
    values: metric_format.MeasureRow


@dataclass(frozen=True, slots=True)
class QuestionView:
    """`right` describes the answer or refusal; `place` the rank of the best relevant document."""

    asked: Asked
    outcome: str
    place: str

    @property
    def html(self) -> SafeString:
        return render_markdown(self.asked.answer, {})

    @property
    def kind(self) -> str:
        return _kind(self.asked.kind.value)


@dataclass(frozen=True, slots=True)
class PairView:
    now: QuestionView
    before: QuestionView

    @property
    def outcome(self) -> str:
        return _format_change(self.before.outcome, self.now.outcome)

    @property
    def place(self) -> str:
        return _format_change(self.before.place, self.now.place)


@dataclass(frozen=True, slots=True)
class Group:
    change: str
    title: str
    meaning: str
    pairs: tuple[PairView, ...]


@require_safe
@page
def evaluation(request: HttpRequest, principal: Principal) -> HttpResponse:
    """List runs of knowledge bases the principal manages. Raises Forbidden without any."""
    require_role_anywhere(principal, Role.MANAGER)
    bases = base_cards(principal, role=Role.MANAGER, chosen=request.GET.get("kb", ""))
    rows = runs_for(principal).defer("outcomes", "by_kind", "rankings")
    chosen = next((base for base in bases if base.chosen), None)
    if chosen:
        rows = rows.filter(knowledge_base=chosen.id)
    runs = Paginator(rows, RUNS_SHOWN).get_page(number_in(request.GET.get("page", "")))
    context = {
        "bases": bases,
        "chosen": chosen,
        "gold": gold_counts([chosen] if chosen else bases, principal)[:GOLD_SHOWN],
        "columns": metric_format.measure_row("", metric_format.OF_A_LIST, {}).values,
        "runs": runs,
        "items": [
            RunItem(row, metric_format.measure_row("", metric_format.OF_A_LIST, row.measures)) for row in runs
        ],
        "keep": f"kb={chosen.slug}&" if chosen else "",
        "tab": "evaluation",
    }
    return show(request, principal, "pages/console/evaluation.html", context, area="console")


@require_safe
@page
def evaluation_run(request: HttpRequest, principal: Principal, run_id: str) -> HttpResponse:
    run = run_for(principal, run_id)
    asked = load_outcomes(run)
    wrong = [each for each in asked if not each.right]
    shown = wrong if wrong and request.GET.get("show", WRONG) == WRONG else asked
    questions = Paginator(shown, QUESTIONS_SHOWN).get_page(number_in(request.GET.get("page", "")))
    context = {
        "tab": "evaluation",
        "run": run,
        "wrong": len(wrong),
        "shows_wrong": shown is wrong,
        "questions": questions,
        "keep": f"show={WRONG if shown is wrong else 'all'}&",
        "views": [question_view(each) for each in questions],
        "measures": metric_format.measure_views(run.measures),
        "others": _list_comparable(principal, run),
        "settings": [(_words(name), value) for name, value in sorted(run.settings.items())],
        **_tables(run),
    }
    return show(request, principal, "pages/console/evaluation_run.html", context, area="console")


def _tables(run: EvaluationRun) -> dict[str, Any]:
    """Return tables by kind, and by ranking if several were evaluated."""
    columns = metric_format.measure_row("", metric_format.OF_A_KIND, {}).values
    by_kind = [
        metric_format.measure_row(_capital(_kind(kind)), metric_format.OF_A_KIND, found)
        for kind, found in run.by_kind.items()
    ]
    ways = metric_format.sort_keys(run.rankings if len(run.rankings) > 1 else {}, metric_format.RANKINGS)
    names = list(metric_format.sort_keys(next(iter(ways.values()), {}), metric_format.NAMES))
    rankings = [
        metric_format.measure_row(gettext(metric_format.RANKINGS.get(way, way)), names, found)
        for way, found in ways.items()
    ]
    return {"kind_columns": columns, "by_kind": by_kind, "rankings": rankings}


def _list_comparable(principal: Principal, run: EvaluationRun) -> Iterable[EvaluationRun]:
    """Return runs for comparison: those of the same knowledge base."""
    rows = runs_for(principal).filter(knowledge_base=run.knowledge_base).exclude(pk=run.pk)
    return rows.only("id", "name", "created_at", "knowledge_base", "created_by")[:COMPARABLE]


@require_safe
@page
def evaluation_compare(request: HttpRequest, principal: Principal, run_id: str) -> HttpResponse:
    """Compare the run with the one in the parameter `with`."""
    now, before = run_for(principal, run_id), run_for(principal, request.GET.get("with", ""))
    found = differences(load_outcomes(now), load_outcomes(before))
    context = {
        "tab": "evaluation",
        "now": now,
        "before": before,
        "same_gold": now.gold_sha256 == before.gold_sha256,
        "compared": len(found),
        "test_result": _describe_test(compare_pairs(found)),
        "both_right": sum(each.change is Change.BOTH_RIGHT for each in found),
        "groups": [_group(found, *each) for each in CHANGES],
        "measures": [
            metric_format.change_view(each) for each in measure_changes(now.measures, before.measures)
        ],
        "settings": _compare_settings(now, before),
    }
    return show(request, principal, "pages/console/evaluation_compare.html", context, area="console")


def _describe_test(test: PairedTest | None) -> str:
    if test is None:
        return ""
    result = gettext(
        "Correct answers: {difference} percentage points ({level} interval: {low} to {high}, p = {p})."
    ).format(
        difference=_format_signed(test.difference),
        level=percent(CONFIDENCE),
        low=_format_signed(test.low),
        high=_format_signed(test.high),
        p=number(test.p_value, 2),
    )
    meaning = (
        gettext("The difference is statistically significant.")
        if test.is_significant
        else gettext("The difference may be due to chance.")
    )
    return f"{result} {meaning}"


def _format_signed(share: float) -> str:
    return f"{'+' if share > 0 else ''}{number(100 * share, 1)}"


def _group(found: Iterable[Difference], change: Change, title: str, meaning: str) -> Group:
    pairs = (PairView(question_view(d.now), question_view(d.before)) for d in found if d.change is change)
    return Group(change.value, gettext(title), gettext(meaning), tuple(pairs))


def _format_change(before: str, now: str) -> str:
    return now if before == now else f"{before} → {now}"


def _compare_settings(now: EvaluationRun, before: EvaluationRun) -> list[tuple[str, object, object]]:
    names = sorted({**before.settings, **now.settings})
    pairs = ((name, before.settings.get(name, ""), now.settings.get(name, "")) for name in names)
    return [(_words(name), was, is_) for name, was, is_ in pairs if was != is_]


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _kind(name: str) -> str:
    return gettext(KIND_LABELS[name]) if name in KIND_LABELS else name.replace("_", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def question_view(asked: Asked) -> QuestionView:
    return QuestionView(asked, _outcome(asked), _place(asked))


def _outcome(asked: Asked) -> str:
    if asked.right:
        return gettext("Correctly refused") if asked.refused else gettext("Correct")
    if not asked.relevant:
        return gettext("Answered without support")
    return gettext("Wrongly refused") if asked.refused else gettext("Required text missing")


def _place(asked: Asked) -> str:
    if not asked.relevant:
        return ""
    return gettext("rank {rank}").format(rank=asked.rank) if asked.rank else gettext("not found")
