"""Retrieval playground: the steps of one search, for managers within their knowledge bases.

Admins may search as somebody else, to see what that person finds and what is withheld; this is logged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from cairn.access.models import Role
from cairn.access.permissions import knowledge_bases_for
from cairn.access.principals import principal_for_user, require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import require_role_anywhere, scope_for
from cairn.accounts.models import User
from cairn.answers import Verdict
from cairn.audit.services import record
from cairn.errors import CairnError, InvalidInput
from cairn.library.models import KnowledgeBase
from cairn.limits.concurrency import SlotLease, slot_take
from cairn.limits.rate_limits import search_count
from cairn.limits.rules import allowance_of
from retrieval.conversations.ask import answer_again
from retrieval.engine import get_engine
from retrieval.index.protocol import Filters
from retrieval.playground import Explanation, explain, find_hidden_hits
from retrieval.search.fusion import Ranking
from retrieval.types import Citation, Hit
from web.http.shutdown import ending
from web.i18n.localize import localize
from web.pages.shell.decorators import page, show
from web.presentation.markdown import render_markdown

SHOWN: Final = 10
LONGEST: Final = 2000
SNIPPET: Final = 240
STEPS: Final[dict[str, Promise]] = {
    "embed": gettext_lazy("Question embedding"),
    "index": gettext_lazy("Index query"),
    "check": gettext_lazy("Permission check"),
    "rerank": gettext_lazy("Reranking"),
    "judge": gettext_lazy("Answerability check"),
}


VERDICTS: Final[dict[Verdict, Promise]] = {
    Verdict.SUPPORTED: gettext_lazy("Supported"),
    Verdict.PARTIAL: gettext_lazy("Partly supported"),
    Verdict.REFUSED: gettext_lazy("Not answered"),
}


@dataclass(frozen=True, slots=True)
class PlaygroundForm:
    question: str = ""
    kb: str = ""
    tag: str = ""
    person: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class TriedAnswer:
    """An answer that is shown and not stored."""

    html: SafeString
    verdict: str
    reason: str
    citations: Sequence[Citation]
    seconds: float


@dataclass(frozen=True, slots=True)
class Item:
    rank: int
    hit: Hit
    score: str
    also: str

    @property
    def snippet(self) -> str:
        text = " ".join(self.hit.text.split())
        return text if len(text) <= SNIPPET else f"{text[:SNIPPET]}…"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    title: str
    meaning: str
    items: Sequence[Item]


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_role_anywhere(principal, Role.MANAGER)
    managed = list(knowledge_bases_for(principal, role=Role.MANAGER).order_by("name", "id"))
    form = _form_from(request.POST or request.GET)
    context: dict[str, Any] = {"tab": "playground", "bases": managed, "wanted": form}
    status = 200
    if request.method == "POST":
        try:
            context |= _run_search(principal, form, managed)
        except CairnError as error:
            context["error"], status = localize(error.message), error.status
    return show(request, principal, "pages/console/playground.html", context, area="console", status=status)


def _form_from(params: QueryDict) -> PlaygroundForm:
    return PlaygroundForm(
        **{
            name: params.get(name, "").replace("\0", "").strip()[:LONGEST]
            for name in PlaygroundForm.__slots__
        }
    )


def _run_search(
    principal: Principal, form: PlaygroundForm, managed: Sequence[KnowledgeBase]
) -> dict[str, Any]:
    search_count(principal)
    reader = _reader(principal, form.person)
    bases = _bases(principal, form, managed)
    scope, engine = scope_for(reader, bases), get_engine()
    filters = Filters(tags=(form.tag,) if form.tag else None)
    found = explain(form.question, scope=scope, filters=filters, engine=engine, limit=SHOWN)
    shown: dict[str, Any] = {"found": found, "columns": _columns(found), "steps": _steps(found)}
    if form.answer:
        shown["tried"] = _try_answer(principal, reader, form, bases, filters)
    if reader is not principal:
        looker = scope_for(principal, bases)
        hidden = find_hidden_hits(form.question, reader=scope, looker=looker, filters=filters, engine=engine)
        shown |= {"as": reader, "hidden_count": len(hidden), "hidden": _items(hidden[:SHOWN], {})}
    return shown


def _try_answer(
    principal: Principal,
    reader: Principal,
    form: PlaygroundForm,
    bases: Sequence[UUID] | None,
    filters: Filters,
) -> TriedAnswer:
    """Answer as the reader would be answered in a new conversation. Only the audit log learns of it."""
    require_admin(principal)
    lease = slot_take(principal, allowance_of(principal))
    try:
        record("playground.asked_as", actor=principal.actor, subject=f"user:{reader.user}")
        answer = answer_again(
            principal=reader,
            question=form.question,
            knowledge_bases=bases,
            filters=filters,
            cancelled=partial(_is_ending, lease),
        )
    finally:
        lease.release()
    return TriedAnswer(
        html=render_markdown(answer.text),
        verdict=str(VERDICTS.get(answer.verdict, "")),
        reason=localize(answer.reason),
        citations=answer.citations,
        seconds=answer.timings.total_ms / 1000,
    )


def _is_ending(lease: SlotLease) -> bool:
    """Return whether this process is shutting down. Until then, the answer keeps its slot."""
    if lease.due:
        lease.renew()
    return ending.is_set()


def _reader(principal: Principal, username: str) -> Principal:
    """Return the principal whose permissions apply. Searching as somebody else is for admins, and logged."""
    if not username or username.casefold() == principal.username.casefold():
        return principal
    require_admin(principal)
    user = User.objects.active().filter(username__iexact=username).first()
    if user is None:
        raise InvalidInput(_("No active user has this name."))
    record("playground.searched_as", actor=principal.actor, subject=f"user:{user.id}")
    return principal_for_user(user)


def _bases(principal: Principal, form: PlaygroundForm, managed: Sequence[KnowledgeBase]) -> list[UUID] | None:
    """Return the searched knowledge bases, or None for all that admins may read."""
    if form.kb:
        return [base.id for base in managed if base.slug == form.kb]
    return None if principal.is_admin else [base.id for base in managed]


def _columns(found: Explanation) -> list[Column]:
    ranks = {
        way: {hit.chunk: rank for rank, hit in enumerate(hits, 1)} for way, hits in found.by_ranking.items()
    }
    titles = {
        Ranking.DENSE: (_("Semantic search"), _("Cosine similarity")),
        Ranking.BM25: (_("Keyword search"), _("BM25")),
        Ranking.HYBRID: (_("Combined"), _("Weighted sum of both scores")),
    }
    columns = [
        Column(way.value, *titles[way], _items(hits, {w: r for w, r in ranks.items() if w is not way}, way))
        for way, hits in found.by_ranking.items()
    ]
    if found.reranked:
        fused = {Ranking.HYBRID: ranks[Ranking.HYBRID]}
        reranked = _items(found.reranked, fused, None)
        columns.append(Column("reranked", _("Reranked"), _("Reranker order"), reranked))
    return columns


def _items(
    hits: Sequence[Hit], others: dict[Ranking, dict[UUID, int]], way: Ranking | None = Ranking.HYBRID
) -> list[Item]:
    """Build items. `others`: ranks in other columns."""
    return [
        Item(rank, hit, _score(hit, way), _describe_other_ranks(hit.chunk, others))
        for rank, hit in enumerate(hits, 1)
    ]


def _score(hit: Hit, way: Ranking | None) -> str:
    scores = hit.scores
    by = {Ranking.DENSE: scores.dense, Ranking.BM25: scores.sparse, Ranking.HYBRID: scores.fused}
    value = by.get(way) if way else scores.rerank
    return "–" if value is None else f"{value:.3f}"


def _describe_other_ranks(chunk: UUID, others: dict[Ranking, dict[UUID, int]]) -> str:
    names = {Ranking.DENSE: _("meaning"), Ranking.BM25: _("words"), Ranking.HYBRID: _("combined")}
    return ", ".join(f"{names[way]} {ranks[chunk]}" for way, ranks in others.items() if chunk in ranks)


def _steps(found: Explanation) -> list[tuple[Promise, float]]:
    return [(STEPS[step], milliseconds) for step, milliseconds in found.milliseconds.items()]
