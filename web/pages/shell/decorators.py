"""Decorators for pages of signed-in users: authentication, page layout and errors."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache

from cairn.access.models import Role
from cairn.access.permissions import has_role_anywhere
from cairn.access.principals import can_create_knowledge_bases
from cairn.access.scope import Principal
from cairn.errors import Forbidden, NotFound, NotSignedIn
from retrieval.gaps.notices import notices_for
from web.access_checks.services import has_leak
from web.http.authentication import SecondFactorMissing, principal_of, refuse_changes_while_viewing
from web.pages.shell.navigation import visible_sections
from web.pages.shell.sidebar import rail_of

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Principal, P], HttpResponse]
Opened = Callable[..., HttpResponse]
TurnedAway = Callable[[HttpRequest, NotSignedIn | SecondFactorMissing], HttpResponse]


def page(view: View[P]) -> Opened:
    """Decorate a full page. Anonymous users are sent to sign in and back."""

    def turn_away(request: HttpRequest, error: NotSignedIn | SecondFactorMissing) -> HttpResponse:
        lacks_factor = isinstance(error, SecondFactorMissing)
        return redirect("mfa_index") if lacks_factor else redirect_to_login(request.get_full_path())

    return _guard_view(view, turn_away)


def fragment(view: View[P]) -> Opened:
    """Decorate a fragment fetched by a script, where a sign-in page would make no sense."""

    def turn_away(_request: HttpRequest, error: NotSignedIn | SecondFactorMissing) -> HttpResponse:
        message = (
            gettext(error.message) if isinstance(error, SecondFactorMissing) else gettext("Sign in again.")
        )
        return HttpResponse(message, status=error.status, content_type="text/plain; charset=utf-8")

    return _guard_view(view, turn_away)


def _guard_view(view: View[P], turn_away: TurnedAway) -> Opened:
    @never_cache
    @wraps(view)
    def wrapper(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            principal = principal_of(request)
            refuse_changes_while_viewing(principal, request)
            return view(request, principal, *args, **kwargs)
        except (NotSignedIn, SecondFactorMissing) as error:
            return turn_away(request, error)
        except NotFound as error:
            raise Http404 from error
        except Forbidden as error:
            raise PermissionDenied(error.message) from error

    return wrapper


def show(
    request: HttpRequest,
    principal: Principal,
    template: str,
    context: dict[str, Any],
    *,
    area: str = "",
    status: int = 200,
) -> HttpResponse:
    """Render the page in the layout with navigation and the user's conversations."""
    conversation = context.get("conversation")
    edits = has_role_anywhere(principal, Role.EDITOR)
    manages = has_role_anywhere(principal, Role.MANAGER)
    creates = can_create_knowledge_bases(principal)
    sections = visible_sections(
        edits=edits,
        manages=manages,
        creates=creates,
        is_admin=principal.is_admin,
        tab=context.get("tab", ""),
    )
    around = {
        "leaked": area == "console" and principal.administers and has_leak(),
        "me": principal,
        "area": area,
        "manages": manages,
        "edits": edits,
        "creates": creates,
        "unread": notices_for(principal).unread().count(),
        "sections": sections if area == "console" else (),
        "rail": rail_of(principal, current=str(conversation.id) if conversation else ""),
    }
    return render(request, template, {**around, **context}, status=status)


def number_in(text: str) -> int:
    """Parse a page number, counted from 1; invalid ones become 1."""
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 6 and int(text) else 1
