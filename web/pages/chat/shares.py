"""Shared conversations as seen by readers, and the sharing dialog."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from cairn.access.scope import Principal
from cairn.errors import Conflict, NotFound
from retrieval.conversations.services import conversation_for, message_for
from retrieval.conversations.shares import (
    messages_shared,
    share_continue,
    share_for,
    share_lags,
    share_of,
    share_title,
)
from retrieval.models import Conversation, Message, Share
from web.api.conversations.shares import open_share
from web.pages.chat.message_views import turn_views
from web.pages.shell.decorators import fragment, page, show


@require_safe
@page
def show_shared_conversation(request: HttpRequest, principal: Principal, share_id: str) -> HttpResponse:
    share = open_share(principal, share_id)
    seen = messages_shared(share, principal)
    context = {
        "share": share,
        "title": share_title(share),
        "turns": turn_views(seen),
        "mine": share.conversation.user_id == principal.user,
        "whole": not any(each.withheld for each in seen),
    }
    return show(request, principal, "pages/shared/shared.html", context)


@require_POST
@page
def continue_shared_conversation(request: HttpRequest, principal: Principal, share_id: str) -> HttpResponse:  # noqa: ARG001
    share = share_for(principal, share_id)
    try:
        thread = share_continue(share=share, principal=principal)
    except Conflict:  # they lost access to a part of it after opening the page: the new page explains it
        return redirect("pages:shared", share.id)
    return redirect("pages:conversation", thread.id)


@require_safe
@fragment
def sharing(request: HttpRequest, principal: Principal, conversation_id: str) -> HttpResponse:
    """Render the current contents of the dialog."""
    return _show_dialog(request, conversation_for(principal, conversation_id), None)


@require_safe
@fragment
def answer_sharing(request: HttpRequest, principal: Principal, message_id: str) -> HttpResponse:
    """Render the dialog for one answer."""
    message = message_for(principal, message_id)
    return _show_dialog(request, message.conversation, message)


def _show_dialog(request: HttpRequest, conversation: Conversation, message: Message | None) -> HttpResponse:
    share = _share(conversation, message)
    answers = conversation.shares.filter(single=True).select_related("last") if message is None else ()
    context = {
        "path": f"/messages/{message.id}" if message else f"/conversations/{conversation.id}",
        "is_answer": message is not None,
        "share": share,
        "address": request.build_absolute_uri(f"/shared/{share.id}") if share else "",
        "lags": share is not None and share_lags(share),
        "readers": share.readers.select_related("user", "group") if share else (),
        "everyone": share is None or share.everyone,
        "answers": answers,
    }
    return render(request, "pages/shared/_dialog.html", context)


def _share(conversation: Conversation, message: Message | None) -> Share | None:
    try:
        return share_of(conversation, message)
    except NotFound:
        return None
