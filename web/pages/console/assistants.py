"""Administration pages of assistants: a searchable list, and a form to create or change one."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from cairn.access.grant_policy import may_grant_to_everyone
from cairn.access.permissions import can_create_assistants
from cairn.access.scope import Principal
from cairn.errors import Forbidden
from cairn.settings.stored.store import effective_environment
from retrieval.assistants.models import Assistant
from retrieval.assistants.selectors import (
    assistant_managed_by,
    assistants_managed_by,
    find_assistants,
    visible_bases,
)
from retrieval.assistants.services import (
    MAX_DESCRIPTION,
    MAX_INSTRUCTIONS,
    MAX_QUESTIONS,
    configured_models,
)
from retrieval.conversations.answer_models import answer_profile
from retrieval.suggestions.curated import MAX_EXAMPLE_CHARACTERS
from web.pages.people.choices import Choice
from web.pages.people.list_filters import ListFilter, page_of_rows
from web.pages.shell.decorators import page, show


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    _require_creator(principal)
    filters = ListFilter.read(request)
    found = find_assistants(assistants_managed_by(principal).select_related("created_by"), filters.q)
    context = {"wanted": filters, "rows": page_of_rows(request, found.order_by("name", "id"))}
    return _show(request, principal, "pages/console/assistants.html", context)


@require_safe
@page
def new(request: HttpRequest, principal: Principal) -> HttpResponse:
    _require_creator(principal)
    return _show_form(request, principal, Assistant(), bases=[], subjects=[])


@require_safe
@page
def assistant(request: HttpRequest, principal: Principal, assistant_id: str) -> HttpResponse:
    row = assistant_managed_by(principal, assistant_id)
    bases = [Choice(str(base.id), base.name) for base in visible_bases([row], principal)[row.pk]]
    return _show_form(request, principal, row, bases=bases, subjects=_subject_choices(row))


def _require_creator(principal: Principal) -> None:
    if not can_create_assistants(principal):
        raise Forbidden


def _subject_choices(row: Assistant) -> list[Choice]:
    if row.everyone:
        return [Choice("everyone", gettext("Everyone who can sign in"))]
    return [Choice(reader.subject, reader.name) for reader in row.readers.select_related("user", "group")]


def _show_form(
    request: HttpRequest,
    principal: Principal,
    row: Assistant,
    *,
    bases: list[Choice],
    subjects: list[Choice],
) -> HttpResponse:
    context = {
        "row": row,
        "is_new": row._state.adding,
        "address": _address(row.pk, is_new=row._state.adding),
        "bases": bases,
        "subjects": subjects,
        "models": configured_models(),
        "opens_to_everyone": may_grant_to_everyone(principal),
        "quotes": not answer_profile(writes=effective_environment().writes_answers).writes,
        "longest": {
            "description": MAX_DESCRIPTION,
            "instructions": MAX_INSTRUCTIONS,
            "questions": MAX_QUESTIONS,
            "question": MAX_EXAMPLE_CHARACTERS,
        },
    }
    return _show(request, principal, "pages/console/assistant.html", context)


def _address(identity: UUID, *, is_new: bool) -> str:
    return "/api/v1/assistants" if is_new else f"/api/v1/assistants/{identity}"


def _show(request: HttpRequest, principal: Principal, template: str, context: dict[str, Any]) -> HttpResponse:
    return show(request, principal, template, {"tab": "assistants", **context}, area="console")
