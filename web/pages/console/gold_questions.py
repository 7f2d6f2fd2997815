"""Pages of gold questions: list, create from a chat or from scratch, edit."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_safe

from cairn.access.models import Role
from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_named, scope_for
from cairn.errors import CairnError, Forbidden
from cairn.library.models import Document
from retrieval.conversations.services import message_for
from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.gold_questions import GoldDraft, draft_of, gold_question_for, gold_questions_for
from retrieval.search.hybrid_search import search
from web.pages.library.knowledge_bases import BaseCard, base_card, base_cards
from web.pages.shell.decorators import number_in, page, show

SHOWN: Final = 50
CANDIDATES: Final = 20  # passages; a document may have several
LONGEST_QUESTION: Final = 4000
KINDS: Final = (
    (Kind.PARAPHRASE, gettext_noop("Paraphrased")),
    (Kind.KEYWORD, gettext_noop("Keywords only")),
    (Kind.TYPO, gettext_noop("Contains typos")),
    (Kind.CODE, gettext_noop("Looks for a code, number or name")),
    (Kind.TWO_PAGES, gettext_noop("Needs two documents")),
    (Kind.FOLLOW_UP, gettext_noop("Follow-up question")),
    (Kind.UNANSWERABLE, gettext_noop("No document answers it")),
    (Kind.NEAR_MISS, gettext_noop("The documents come close, but don’t answer it")),
)
LABELS: Final = dict(KINDS)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may answer, and why it is suggested; no reason if already selected."""

    id: UUID
    title: str
    source_uri: str
    why: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Form:
    """`api`, `method`: where it is sent. `message`: id of the message it is created from, if any."""

    api: str
    method: str
    question: str
    kind: str
    history: Sequence[str]
    must_contain: Sequence[str]
    candidates: Sequence[Candidate]
    message: str = ""


@require_safe
@page
def questions(request: HttpRequest, principal: Principal, slug: str) -> HttpResponse:
    base = knowledge_base_named(principal, slug, role=Role.MANAGER)
    rows = gold_questions_for(principal).filter(knowledge_base=base)
    shown = Paginator(rows, SHOWN).get_page(number_in(request.GET.get("page", "")))
    items = [(row, gettext(LABELS[Kind(row.kind)])) for row in shown]
    context = {"tab": "evaluation", "base": base, "rows": shown, "items": items}
    return show(request, principal, "pages/console/gold.html", context, area="console")


@require_safe
@page
def new(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Show the form for a question from one of the principal's messages, or an empty one."""
    bases = base_cards(principal, role=Role.MANAGER, chosen=request.GET.get("kb", ""))
    if not bases:
        raise Forbidden
    message = request.GET.get("message", "")
    draft = draft_of(message_for(principal, message), principal) if message else _parse_draft(request)
    base = _base_of(principal, bases, draft)
    form = Form(
        api=f"/api/v1/knowledge-bases/{base.id}/gold-questions",
        method="POST",
        question=draft.question,
        kind=draft.kind,
        history=draft.history,
        must_contain=(),
        candidates=_candidates(principal, base, draft.question, draft.relevant, draft.searched),
        message=message,
    )
    return _show_form(request, principal, base, form, bases=bases)


@require_safe
@page
def question(request: HttpRequest, principal: Principal, question_id: str) -> HttpResponse:
    row = gold_question_for(principal, question_id)
    base = base_card(principal, row.knowledge_base)
    chosen = frozenset(source.document_id for source in row.sources.all())
    form = Form(
        api=f"/api/v1/gold-questions/{row.id}",
        method="PATCH",
        question=row.question,
        kind=row.kind,
        history=row.history,
        must_contain=row.must_contain,
        candidates=_candidates(principal, base, row.question, chosen, frozenset()),
    )
    return _show_form(request, principal, base, form, row=row)


def _show_form(
    request: HttpRequest, principal: Principal, base: BaseCard, form: Form, **more: Any
) -> HttpResponse:
    context = {
        "tab": "evaluation",
        "base": base,
        "form": form,
        "kinds": [(kind, gettext(label)) for kind, label in KINDS],
        **more,
    }
    return show(request, principal, "pages/console/gold_question.html", context, area="console")


def _parse_draft(request: HttpRequest) -> GoldDraft:
    question = request.GET.get("question", "").replace("\0", "").strip()[:LONGEST_QUESTION]
    return GoldDraft(question, Kind.PARAPHRASE)


def _base_of(principal: Principal, bases: Sequence[BaseCard], draft: GoldDraft) -> BaseCard:
    """Return the selected knowledge base, else one likely to answer, else the first."""
    named = documents_for(principal).filter(pk__in=draft.relevant or draft.searched)
    likely = set(named.values_list("knowledge_base", flat=True))
    picked = [base for base in bases if base.chosen] or [base for base in bases if base.id in likely]
    return (picked or list(bases))[0]


def _candidates(
    principal: Principal,
    base: BaseCard,
    question: str,
    chosen: frozenset[UUID],
    searched: frozenset[UUID],
) -> list[Candidate]:
    """Return documents that are selected or were retrieved first, then present search results."""
    found = _search_documents(principal, base, question) if question else []
    order = list(dict.fromkeys([*sorted(chosen, key=str), *sorted(searched, key=str), *found]))
    rows = documents_for(principal).filter(knowledge_base=base.id).in_bulk(order)
    return [_candidate(rows[each], chosen, searched) for each in order if each in rows]


def _candidate(row: Document, chosen: frozenset[UUID], searched: Iterable[UUID]) -> Candidate:
    why = gettext("retrieved for the answer") if row.id in searched else gettext("found by a new search")
    return Candidate(row.id, row.title, row.source_uri, "" if row.id in chosen else why, row.id in chosen)


def _search_documents(principal: Principal, base: BaseCard, question: str) -> list[UUID]:
    """Search for documents. Empty if a part is down, as the form works without."""
    try:
        hits = search(question, scope=scope_for(principal, [base.id]), limit=CANDIDATES)
    except CairnError:
        return []
    return [hit.document for hit in hits]


def gold_counts(bases: Iterable[BaseCard], principal: Principal) -> list[tuple[BaseCard, int]]:
    """Count gold questions by knowledge base, most first; equal ones stay in order."""
    counts = Counter(gold_questions_for(principal).values_list("knowledge_base", flat=True))
    return sorted(((base, counts[base.id]) for base in bases), key=lambda pair: -pair[1])
