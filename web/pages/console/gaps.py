"""Pages of knowledge gaps, the askers' choice to report questions, and notices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import require_role_anywhere, scope_for
from cairn.accounts.models import User
from cairn.errors import CairnError, NotFound
from cairn.library.models import Document
from ingestion.gaps.verified_answers import question_texts
from retrieval.conversations.services import message_for
from retrieval.gaps.models import UNANSWERED, Gap, GapQuestion, GapState, Notice, VerifiedAnswer, Why
from retrieval.gaps.notices import notice_for, notice_read, notices_for, notices_read_all
from retrieval.gaps.recorder import passing_on_set
from retrieval.gaps.selectors import (
    annotate_gaps,
    bases_of,
    documents_near,
    documents_suggested,
    gap_for,
    gaps_for,
    owners_of,
    questions_of,
    verified_answer_for,
)
from retrieval.search.hybrid_search import search
from retrieval.types import Hit
from web.api.framework.fields import parse_id_or_no_match
from web.i18n.localize import localize
from web.pages.chat.gap_sharing import passing_on_of
from web.pages.library.knowledge_bases import base_cards
from web.pages.shell.decorators import fragment, number_in, page, show
from web.presentation.notices import text_of, url_of

SHOWN: Final = 50
QUESTIONS_SHOWN: Final = 100
FOUND: Final = 5
MERGEABLE: Final = 100
VALID_FOR: Final = timedelta(days=182)
STATES: Final = (
    ("", _("Unanswered")),
    ("open", _("Open")),
    ("assigned", _("Assigned")),
    ("answered", _("Answered")),
    ("dismissed", _("Dismissed")),
    ("all", _("All")),
)
LABELS: Final = dict(STATES)
TAGS: Final = {
    GapState.OPEN: "failed",
    GapState.ASSIGNED: "queued",
    GapState.ANSWERED: "ready",
    GapState.DISMISSED: "plain",
}


@dataclass(frozen=True, slots=True)
class Item:
    """A gap as shown in lists."""

    gap: Any
    label: Any
    tag: str
    bases: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question. `reason` is in the viewer's language."""

    question: GapQuestion
    reason: str


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A notice with its present text. `url`: a link through the page that marks it as read."""

    notice: Notice
    text: str
    open: bool


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    """List gaps of knowledge bases the principal manages, and those assigned to them."""
    require_role_anywhere(principal, Role.EDITOR)
    bases = base_cards(principal, role=Role.EDITOR, chosen=request.GET.get("kb", ""))
    state, owner = request.GET.get("state", ""), request.GET.get("owner", "")
    rows = _filter_gaps(principal, request.GET.get("kb", ""), state, owner)
    shown = annotate_gaps(rows, principal).order_by("-asked", "-last_asked", "id")
    found = Paginator(shown, SHOWN).get_page(number_in(request.GET.get("page", "")))
    context = {
        "bases": bases,
        "states": STATES,
        "state": state,
        "owner": owner,
        "owners": User.objects.filter(owned_gaps__in=gaps_for(principal)).distinct().order_by("username"),
        "gaps": found,
        "items": [_item(gap) for gap in found],
        "keep": f"{urlencode({'kb': request.GET.get('kb', ''), 'state': state, 'owner': owner})}&",
        "narrowed": bool(state or owner or request.GET.get("kb")),
        "tab": "gaps",
    }
    return show(request, principal, "pages/console/gaps.html", context, area="console")


def _filter_gaps(principal: Principal, slug: str, state: str, owner: str) -> "QuerySet[Gap]":
    rows = gaps_for(principal)
    if state in GapState.values:
        rows = rows.filter(state=state)
    elif state != "all":
        rows = rows.filter(state__in=UNANSWERED)
    if slug:
        rows = rows.filter(knowledge_bases__in=knowledge_bases_for(principal).filter(slug=slug))
    if owner == "nobody":
        return rows.filter(owner=None)
    return rows.filter(owner=parse_id_or_no_match(owner)) if owner else rows


def _item(gap: Gap) -> Item:
    names = ", ".join(base.name for base in gap.knowledge_bases.all())
    return Item(gap, LABELS[gap.state], TAGS[GapState(gap.state)], names)


@require_safe
@page
def gap(request: HttpRequest, principal: Principal, gap_id: str) -> HttpResponse:
    row: Any = gap_for(principal, gap_id)
    verified = verified_answer_for(principal, row)
    nearest, found = documents_near(row, principal), _search_gap_question(principal, row)
    context = {
        "gap": row,
        "item": _item(row),
        "questions": [Asked(each, _localize_reason(each)) for each in _latest(row)],
        "nearest": nearest,
        "found": found,
        "suggested": documents_suggested(row, principal),
        "linked": documents_for(principal).filter(pk=row.document_id).first() if row.document_id else None,
        "linkable": _list_linkable_documents(principal, row, nearest, found),
        "owners": owners_of(row),
        "others": _list_mergeable(principal, row),
        "bases": bases_of(row, principal),
        "verified": verified,
        "current": verified is not None and verified.vouches_for(verified.sha256),
        **_list_possible_owners(principal, row, verified),
        "my_label": User.objects.get(pk=principal.user).label,
        "wordings": verified.wordings if verified else _wordings(row),
        "until": verified.until if verified else timezone.localdate() + VALID_FOR,
        "renewed": timezone.localdate() + VALID_FOR,
        "today": timezone.localdate(),
        "tab": "gaps",
    }
    return show(request, principal, "pages/console/gap.html", context, area="console")


def _list_possible_owners(principal: Principal, gap: Gap, verified: VerifiedAnswer | None) -> dict[str, Any]:
    """Return possible owners of the answer. Only admins can name somebody else than themselves.

    `takes_over_from`: the owner whom the principal replaces by renewing or changing the answer.
    """
    owner = verified.owner if verified else None
    if not principal.acts_as_admin:
        other = owner is not None and owner.pk != principal.user
        return {"vouchers": None, "takes_over_from": owner if other else None}
    vouchers = list(owners_of(gap))
    named = owner.pk if owner in vouchers else principal.user
    return {"vouchers": vouchers, "voucher": named, "takes_over_from": None}


def _localize_reason(question: GapQuestion) -> str:
    """Translate Cairn's reason for a refusal. Users write reasons of ratings."""
    return question.reason if question.why == Why.DOWN else localize(question.reason)


def _latest(gap: Gap) -> "QuerySet[GapQuestion]":
    return questions_of(gap).order_by("-created_at")[:QUESTIONS_SHOWN]


def _wordings(gap: Any) -> list[str]:
    return [text for text in question_texts(gap) if text != gap.title]


def _search_gap_question(principal: Principal, gap: Any) -> Sequence[Hit]:
    """Search for the gap's question now, with the principal's own permissions."""
    bases = [base.id for base in gap.knowledge_bases.all()] if gap.base_key else None
    try:
        return search(gap.title, scope=scope_for(principal, bases), limit=FOUND)
    except CairnError:  # the page works without
        return ()


def _list_linkable_documents(
    principal: Principal, gap: Any, nearest: Sequence[Document], found: Sequence[Hit]
) -> Sequence[Document]:
    """Return documents that may answer it: nearest ones, search results, and the newest."""
    inside = documents_for(principal).ready()
    if gap.base_key:
        inside = inside.filter(knowledge_base__gaps=gap)
    near = {document.id for document in nearest} | {hit.document for hit in found}
    latest = inside.order_by("-created_at").values_list("id", flat=True)[:FOUND]
    rows: dict[UUID, Document] = inside.in_bulk(near | set(latest))
    return sorted(rows.values(), key=lambda row: (row.id not in near, row.title))


def _list_mergeable(principal: Principal, gap: Any) -> "QuerySet[Gap]":
    """Return gaps that it can be merged into."""
    rows = gaps_for(principal).filter(Q(state__in=UNANSWERED) | Q(state=GapState.ANSWERED))
    rows = rows.filter(base_key=gap.base_key).exclude(pk=gap.pk)
    return annotate_gaps(rows, principal).order_by("-last_asked")[:MERGEABLE]


@require_POST
@fragment
def passing_on(request: HttpRequest, principal: Principal, message_id: str) -> HttpResponse:
    """Render the asker's choice below the answer."""
    message = message_for(principal, message_id)
    choice = request.POST.get("said", "")
    row = passing_on_set(message=message, passed_on=choice != "no", with_name=choice == "named")
    if row is None:
        raise NotFound
    context = {"message_id": message.id, "passing_on": passing_on_of(row)}
    return render(request, "pages/chat/_passing_on.html", context)


@require_safe
@page
def notices(request: HttpRequest, principal: Principal) -> HttpResponse:
    rows = Paginator(notices_for(principal), SHOWN).get_page(number_in(request.GET.get("page", "")))
    items = [NoticeView(row, text_of(row, principal), url_of(row, principal) is not None) for row in rows]
    return show(request, principal, "pages/notices.html", {"rows": rows, "told": items}, area="notices")


@require_POST
@page
def notice_open(_request: HttpRequest, principal: Principal, notice_id: str) -> HttpResponse:
    """Mark the notice as read and redirect to its link, if still accessible."""
    notice = notice_read(notice=notice_for(principal, notice_id))
    return redirect(url_of(notice, principal) or "pages:notices")


@require_POST
@page
def notices_all_read(_request: HttpRequest, principal: Principal) -> HttpResponse:
    notices_read_all(principal=principal)
    return redirect("pages:notices")
