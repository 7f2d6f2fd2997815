"""Chat pages: new chats, conversations, and fragments fetched by scripts."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from cairn.access.models import Role
from cairn.access.permissions import documents_for, has_role_anywhere, knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import document_for
from cairn.errors import CairnError, InvalidInput, NotFound
from cairn.library.models import Document, Tag
from cairn.settings import environment
from retrieval.assistants.models import Assistant
from retrieval.assistants.selectors import assistant_for, visible_bases
from retrieval.conversations.assistants import usable_assistant
from retrieval.conversations.files import conversation_documents
from retrieval.conversations.services import (
    EXPIRES_AFTER,
    conversation_for,
    load_shown_message,
    load_shown_path,
    message_for,
    own_message,
)
from retrieval.conversations.small_talk import is_small_talk
from retrieval.models import Conversation, FeedbackReason
from retrieval.suggestions.message_suggestions import suggestions_after
from retrieval.suggestions.services import NO_SUGGESTIONS, PickedSuggestions, pick_suggestions
from web.api.framework.fields import QUESTION_CHARACTERS
from web.data_dir.help_documents import help_progress
from web.pages.chat.assistants import assistant_cards
from web.pages.chat.message_views import turn_views
from web.pages.library.knowledge_bases import BaseCard, base_cards
from web.pages.shell.decorators import fragment, page, show
from web.pages.shell.sidebar import folder_rail, rail_of

TAGS = 50
TURNS = 50  # at first; earlier ones are loaded on request


@require_safe
@page
def new(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Show an empty chat. `again` is the id of a message whose question is prefilled, as URLs are logged;
    `assistant` is the slug of the one that answers."""
    again = request.GET.get("again")
    if not again:
        named = request.GET.get("assistant")
        assistant = assistant_for(principal, named) if named else None
        return _chat(request, principal, {"turns": (), "asked_again": ""}, assistant=assistant)
    earlier = own_message(principal, again)
    # Here it has no conversation before it to be understood from.
    question = earlier.standalone_question or earlier.question
    assistant = usable_assistant(earlier.conversation, principal)
    chosen = () if assistant else earlier.chosen_knowledge_bases or ()
    context = {"turns": (), "asked_again": question}
    return _chat(request, principal, context, chosen=chosen, assistant=assistant)


@require_safe
@page
def conversation(request: HttpRequest, principal: Principal, conversation_id: str) -> HttpResponse:
    found = conversation_for(principal, conversation_id)
    assistant = usable_assistant(found, principal)
    ended = bool(found.assistant_name) and assistant is None
    context = {
        "conversation": found,
        "assistant_gone": ended,
        "has_files": conversation_documents(found, principal).exists(),
        **_turns(found, principal),
    }
    return _chat(request, principal, context, assistant=assistant)


@require_safe
@fragment
def turns(request: HttpRequest, principal: Principal, conversation_id: str) -> HttpResponse:
    """Render the displayed path, or the part above a message."""
    found = conversation_for(principal, conversation_id)
    context = _turns(found, principal, before=request.GET.get("before"))
    return render(
        request, "pages/chat/_turns.html", {**context, "manages": has_role_anywhere(principal, Role.MANAGER)}
    )


def _turns(found: Conversation, principal: Principal, *, before: str | None = None) -> dict[str, Any]:
    """Return the last turns; `earlier` if there are more above. Questions are suggested after the last."""
    shown_now = load_shown_path(found, principal, before=before, last=TURNS + 1)
    last = shown_now[-1].message.id if shown_now and before is None else None
    return {
        "turns": turn_views(shown_now[-TURNS:]),
        "earlier": len(shown_now) > TURNS,
        "suggests_after": last,
    }


def _chat(
    request: HttpRequest,
    principal: Principal,
    context: dict[str, Any],
    *,
    chosen: Collection[str] = (),
    assistant: Assistant | None = None,
) -> HttpResponse:
    bases = _bases(principal, assistant, chosen or request.GET.get("kb", ""))
    asked = request.GET.get("document")
    only = document_for(principal, asked) if asked else None
    is_new = not context.get("conversation")
    picked = _suggestions(principal, bases, only, assistant) if is_new else NO_SUGGESTIONS
    is_plain = assistant is None and only is None and is_new
    context = {
        **context,
        "assistant": assistant,
        "assistants": assistant_cards(principal) if is_plain else (),
        "help": help_progress(principal) if is_plain else None,
        "bases": bases,
        "only": only,
        "tags": _tags(principal),
        "unofficial_excluded": environment().excludes_unofficial,
        "suggestions": picked.questions,
        "suggests_unofficial": _suggests_unofficial(picked, bases, only),
        "longest": QUESTION_CHARACTERS,
        "max_bytes": environment().upload_max_mb << 20,
        "feedback_reasons": FeedbackReason.choices,
        "temporary_hours": EXPIRES_AFTER // timedelta(hours=1),
    }
    return show(request, principal, "pages/chat/chat.html", context, area="chat")


def _tags(principal: Principal) -> list[str]:
    """Return the most frequent tags of documents the principal may read."""
    rows = Tag.objects.filter(document__in=documents_for(principal)).order_by().values("name")
    most = rows.annotate(count=Count("id")).order_by("-count", "name")[:TAGS]
    return sorted(row["name"] for row in most)


def _bases(
    principal: Principal, assistant: Assistant | None, chosen: str | Collection[str]
) -> Sequence[BaseCard]:
    """Return the knowledge bases to choose from: all that the principal may read, or the assistant's."""
    bases = base_cards(principal, chosen=chosen)
    if assistant is None:
        return bases
    selected = {base.id for base in visible_bases([assistant], principal)[assistant.pk]}
    return [base for base in bases if base.id in selected]


def _suggestions(
    principal: Principal, bases: Sequence[BaseCard], only: Document | None, assistant: Assistant | None
) -> PickedSuggestions:
    """Return the assistant's starter questions, or suggestions for the knowledge base or document the chat is
    limited to, if any."""
    limits = [base.id for base in bases if base.chosen or assistant]
    if assistant and (assistant.starter_questions or not limits):
        return PickedSuggestions(list(assistant.starter_questions), frozenset(limits))
    language = get_language() or ""
    return pick_suggestions(principal, bases=limits or None, document=only, language=language)


def _suggests_unofficial(picked: PickedSuggestions, bases: Sequence[BaseCard], only: Document | None) -> bool:
    """Return whether all suggestions come from unofficial knowledge bases."""
    if only is not None:
        return not only.knowledge_base.official
    return not any(base.official for base in bases if base.id in picked.bases)


@require_safe
@fragment
def help_loading(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render the progress of the help. `?empty`: a page without knowledge bases reloads once it has any."""
    progress = help_progress(principal)
    is_empty = "empty" in request.GET
    context = {"help": progress, "bases": not is_empty, "was_loading": True}
    response = render(request, "pages/chat/_help_loading.html", context)
    if is_empty and (progress is None or knowledge_bases_for(principal).exists()):
        response["HX-Refresh"] = "true"
    return response


@require_safe
@fragment
def conversations(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render the list of conversations or of those in a folder, or its next rows."""
    params = {name: request.GET.get(name, "")[:200] for name in ("current", "cursor")}
    query = request.GET.get("q", "").replace("\0", "").strip()[:200]
    folder = request.GET.get("folder", "")
    try:
        if folder:
            rail = folder_rail(principal, folder=folder, **params)
        else:
            rail = rail_of(principal, query=query, above=request.GET.get("above", "")[:200], **params)
    except InvalidInput as error:  # an invalid cursor
        raise NotFound from error
    return render(request, "pages/_conversations.html", {"rail": rail, "in_folder": bool(folder)})


@require_safe
@fragment
def suggestions(request: HttpRequest, principal: Principal, message_id: str) -> HttpResponse:
    """Render questions to ask after a message, or nothing: they are optional, so a failure is not shown."""
    shown = load_shown_message(message_for(principal, message_id), principal)
    try:
        questions = suggestions_after(principal, shown)
    except CairnError:
        questions = []
    context = {"questions": questions, "small_talk": is_small_talk(shown.message)}
    return render(request, "pages/chat/_suggestions.html", context)


@require_safe
@fragment
def message(request: HttpRequest, principal: Principal, message_id: str) -> HttpResponse:
    found = message_for(principal, message_id)
    [turn] = turn_views([load_shown_message(found, principal)])
    return render(
        request,
        "pages/chat/_answer.html",
        {
            "turn": turn,
            "manages": has_role_anywhere(principal, Role.MANAGER),
            "suggests_after": turn.id,
        },
    )
