"""Pages on which admins set up a source or change it, with tests of what they have typed."""

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cairn.access.permissions import knowledge_bases_for
from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_named
from cairn.errors import CairnError, Conflict, InvalidInput, NotFound
from ingestion.models import Source, SourceTask
from ingestion.sources.kinds import get_kind, list_kinds
from ingestion.sources.protocol import CheckState, SourceKind, first_problem
from ingestion.sources.selectors import source_for
from ingestion.sources.services import source_create, source_update
from web.i18n.localize import localize
from web.pages.shell.decorators import fragment, page, show
from web.pages.sources.forms import (
    OPTIONS,
    SourceForm,
    blank_form,
    filled_form,
    interval_choices,
    read_form,
    validate_options,
)
from web.pages.sources.views import LONGEST_TEXT, TASK_LABELS
from web.sources.directories import list_directories
from web.sources.dry_run import LIMIT_SECONDS, MAX_ITEMS, check_typed, list_typed


@require_safe
@page
def choose_kind(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    kinds = sorted(list_kinds(), key=lambda kind: localize(kind.label).casefold())
    context = {
        "tab": "sources",
        "kinds": [(kind.name, localize(kind.label), localize(kind.description)) for kind in kinds],
        "base": request.GET.get("base", "")[:LONGEST_TEXT].replace("\0", ""),
    }
    return show(request, principal, "pages/sources/kinds.html", context, area="console")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@page
def new(request: HttpRequest, principal: Principal, kind: str) -> HttpResponse:
    require_admin(principal)
    found = _kind(kind)
    if request.method != "POST":
        base = request.GET.get("base", "")[:LONGEST_TEXT].replace("\0", "")
        return _render_form(request, principal, blank_form(found, base))
    form = read_form(found, request.POST)
    if (row := _create(form, principal)) is None:
        return _render_form(request, principal, form)
    messages.success(request, gettext("The source is set up. The first sync starts within a minute."))
    return redirect("pages:console-source", source_id=row.pk)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@page
def edit(request: HttpRequest, principal: Principal, source_id: str) -> HttpResponse:
    require_admin(principal)
    row = source_for(principal, source_id)
    kind = _kind(row.kind)
    if request.method != "POST":
        return _render_form(request, principal, filled_form(kind, row), row)
    form = read_form(kind, request.POST, row)
    if not _update(form, row, principal):
        return _render_form(request, principal, form, row)
    messages.success(request, gettext("Changes saved."))
    return redirect("pages:console-source", source_id=row.pk)


@sensitive_post_parameters()
@require_POST
@fragment
def test(request: HttpRequest, principal: Principal, kind: str) -> HttpResponse:
    """Try the values in the form without saving them. The result says how it went; it is never an error."""
    require_admin(principal)
    form, row = _read_typed(request, principal, kind)
    context: dict[str, Any] = {"form": form}
    if not form.problems:
        try:
            steps = check_typed(kind=kind, options=form.options, before=row, actor=principal.actor)
            context |= {
                "steps": steps,
                "problem": first_problem(steps),
                "is_warned": any(step.state == CheckState.WARNING for step in steps),
            }
        except CairnError as error:
            form.problems[""] = localize(error.message)
    return render(request, "pages/sources/_test.html", context)


@sensitive_post_parameters()
@require_POST
@fragment
def preview(request: HttpRequest, principal: Principal, kind: str) -> HttpResponse:
    """List what the values in the form would import, without importing anything."""
    require_admin(principal)
    form, row = _read_typed(request, principal, kind)
    context: dict[str, Any] = {"form": form, "most": MAX_ITEMS, "seconds": round(LIMIT_SECONDS)}
    if not form.problems:
        try:
            context["report"] = list_typed(kind=kind, options=form.options, before=row, actor=principal.actor)
        except CairnError as error:
            form.problems[""] = localize(error.message)
    return render(request, "pages/sources/_preview.html", context)


def _kind(name: str) -> SourceKind:
    try:
        return get_kind(name)
    except InvalidInput as error:
        raise NotFound from error


def _read_typed(request: HttpRequest, principal: Principal, kind: str) -> tuple[SourceForm, Source | None]:
    """Return the form with the problems of its options alone, and the source that it changes."""
    found, source_id = _kind(kind), request.POST.get("source", "")
    row = source_for(principal, source_id) if source_id else None
    if row and row.kind != found.name:
        raise NotFound
    form = read_form(found, request.POST, row)
    form.problems.clear()
    validate_options(form, row)
    return form, row


def _create(form: SourceForm, principal: Principal) -> Source | None:
    options = validate_options(form)
    try:
        base = knowledge_base_named(principal, form.knowledge_base)
    except NotFound:
        form.problems["knowledge_base"] = gettext("Choose a knowledge base.")
    if form.problems or options is None:
        return None
    try:
        return source_create(
            knowledge_base=base,
            kind=form.kind.name,
            name=form.name,
            options=form.options,
            readers=form.readers,
            directory=form.directory,
            match_email=form.match_email,
            every_seconds=form.every_seconds,
            principal=principal,
        )
    except InvalidInput as error:
        form.problems[_error_field(error)] = localize(error.message)
        return None


def _update(form: SourceForm, row: Source, principal: Principal) -> bool:
    options = validate_options(form, row)
    if form.problems or options is None:
        return False
    try:
        source_update(
            source=row,
            principal=principal,
            name=form.name,
            options=form.options,
            readers=form.readers,
            directory=form.directory,
            match_email=form.match_email,
            every_seconds=form.every_seconds,
        )
    except InvalidInput as error:
        form.problems[_error_field(error)] = localize(error.message)
    return not form.problems


def _error_field(error: InvalidInput) -> str:
    """Return the field that an error of the services is about; "" if it is about the form as a whole."""
    return "name" if isinstance(error, Conflict) else ""


def _render_form(
    request: HttpRequest, principal: Principal, form: SourceForm, row: Source | None = None
) -> HttpResponse:
    directories = sorted({*list_directories(), *filter(None, [form.directory])})
    tasks = [task for task in SourceTask if _has_task(form.kind, task)]
    context = {
        "tab": "sources",
        "form": form,
        "kind_label": localize(form.kind.label),
        "kind_description": localize(form.kind.description),
        "prefix": OPTIONS,
        "row": row,
        "bases": knowledge_bases_for(principal).order_by("name"),
        "directories": directories,
        "schedules": [_schedule(form, task) for task in tasks],
        "seconds": round(LIMIT_SECONDS),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.problems else HTTPStatus.OK
    return show(request, principal, "pages/sources/form.html", context, area="console", status=status)


def _has_task(kind: SourceKind, task: SourceTask) -> bool:
    has = {SourceTask.ACCESS: kind.has_access, SourceTask.PEOPLE: kind.has_people}
    return has.get(task, True)


def _schedule(form: SourceForm, task: SourceTask) -> dict[str, Any]:
    label, hint = TASK_LABELS[task]
    seconds = form.every_seconds[task]
    return {
        "task": task.value,
        "label": label,
        "hint": hint,
        "seconds": str(seconds),
        "choices": interval_choices(seconds),
    }
