"""Assistants that people can ask: cards on the start page, and a page with all of them."""

from collections.abc import Sequence
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cairn.access.scope import Principal
from retrieval.assistants.models import Assistant
from retrieval.assistants.selectors import assistants_offered_to, find_assistants
from web.pages.people.list_filters import ListFilter, page_of_rows
from web.pages.shell.decorators import page, show

CARDS: Final = 6


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    filters = ListFilter.read(request)
    rows = find_assistants(assistants_offered_to(principal), filters.q).order_by("name", "id")
    context = {"wanted": filters, "rows": page_of_rows(request, rows)}
    return show(request, principal, "pages/chat/assistants.html", context, area="chat")


def assistant_cards(principal: Principal) -> Sequence[Assistant]:
    """Return the assistants on the start page, and one more if there are more."""
    return list(assistants_offered_to(principal).order_by("name", "id")[: CARDS + 1])
