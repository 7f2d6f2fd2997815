"""Import of users from a CSV file: a preview, then the import. The browser sends the file both times."""

from collections import Counter
from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.accounts.user_files import MAX_MB, MAX_ROWS, read_user_file
from cairn.accounts.user_import import LineAction, PlannedLine, plan_import, users_import
from cairn.errors import InvalidInput
from web.i18n.localize import localize
from web.pages.shell.decorators import page, show

SHOWN: Final = 200
"""Lines of the preview; those that are refused come first."""


@require_http_methods(["GET", "HEAD", "POST"])
@page
def user_import(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    if request.method != "POST":
        return _show(request, principal, {})
    try:
        content = _read_content(request)
        lines = read_user_file(content)
        is_confirmed = "confirm" in request.POST
        plan = users_import(lines, actor=principal.actor) if is_confirmed else plan_import(lines)
    except InvalidInput as error:
        context = {"error": localize(error.message)}
        return _show(request, principal, context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _show(request, principal, {**_describe(plan), "content": content.decode(), "done": is_confirmed})


def _read_content(request: HttpRequest) -> bytes:
    """Read one byte more than is allowed at most, of the file or of the one that was previewed."""
    file = request.FILES.get("file")
    if file is not None:
        return bytes(file.read((MAX_MB << 20) + 1))
    return str(request.POST.get("content", "")).encode("utf-8", "surrogatepass")


def _describe(plan: list[PlannedLine]) -> dict[str, Any]:
    counts = Counter(each.action for each in plan)
    refused = [each for each in plan if each.action is LineAction.REFUSED]
    others = [each for each in plan if each.action is not LineAction.REFUSED]
    shown = [*refused[:SHOWN], *others[:SHOWN]]
    return {
        "rows": shown,
        "hidden": len(plan) - len(shown),
        "to_create": counts[LineAction.CREATE],
        "to_change": counts[LineAction.CHANGE],
        "unchanged": counts[LineAction.UNCHANGED],
        "refused": counts[LineAction.REFUSED],
        "previewed": True,
    }


def _show(
    request: HttpRequest, principal: Principal, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    limits = {"tab": "users", "max_rows": MAX_ROWS, "max_mb": MAX_MB}
    template = "pages/people/import.html"
    return show(request, principal, template, {**limits, **context}, area="console", status=status)
