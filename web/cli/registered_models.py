"""`manage.py models list`, `activate` and `route`: the registry on the command line."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from django.core.management.base import CommandParser
from django.utils import timezone

from cairn.errors import Conflict, NotFound, Unavailable
from cairn.settings.stored.licences import LICENCES, has_ended
from cairn.settings.stored.models import RegisteredModel
from cairn.settings.stored.store import active_chat_model, chat_model_variable, effective_environment
from retrieval.conversations.route_preview import (
    INSIDE,
    NO_PASSAGES,
    OUTSIDE,
    QUOTES,
    RoutePreview,
    preview_routes,
)
from web.configuration.registered_models import active_name, model_activate, model_test
from web.model_tests.gate import WORSE_CODE

_MOST: Final = 100_000
_ROUTES: Final[Mapping[str, str]] = {
    OUTSIDE: "to the outside model",
    INSIDE: "to an inside model",
    QUOTES: "quoted without a model",
    NO_PASSAGES: "without passages",
}


def add_registry_actions(actions: Any) -> None:
    """Add the arguments of the three actions."""
    listed = actions.add_parser("list", help="list the registered models")
    _add_json(listed)
    activate = actions.add_parser("activate", help="test a registered model, and let it answer from now on")
    activate.add_argument("name", metavar="NAME")
    activate.add_argument(
        "--override-reason",
        default="",
        metavar="TEXT",
        help="why, although a comparison has shown it to be worse; goes to the audit log",
    )
    route = actions.add_parser("route", help="show where recent questions would go by today's rules")
    route.add_argument("--last", type=_count, default=1000, metavar="N", help="so many questions (1000)")
    route.add_argument(
        "--location", choices=(INSIDE, OUTSIDE), help="suppose that the answering model runs there"
    )
    _add_json(route)


def describe_models() -> list[dict[str, Any]]:
    """Return a row for each registered model, adapters below their base."""
    rows = RegisteredModel.objects.select_related("base")
    ordered = sorted(rows, key=lambda row: ((row.base or row).name, row.base is not None, row.name))
    return [_describe(row) for row in ordered]


def activate_model(name: str, override_reason: str = "") -> str:
    """Test a model and activate it; return what there is to say. Raises NotFound, Unavailable, Conflict."""
    row = RegisteredModel.objects.filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no model “{name}”. See: manage.py models list")
    replaces = active_name(row)
    result = model_test(row=row, actor=None)
    if result.problem:
        raise Unavailable(result.problem)
    try:
        model_activate(
            row=row, replaces=replaces, version=row.version, actor=None, override_reason=override_reason
        )
    except Conflict as error:
        if error.code != WORSE_CODE:
            raise
        raise Conflict(f"{error.message} Use --override-reason TEXT.", code=WORSE_CODE) from error
    if variable := chat_model_variable():
        return f"{name} is active, but {variable} takes precedence."
    return f"{name} answers from now on."


def preview(last: int, location: str | None) -> RoutePreview:
    chosen = location or effective_environment().llm_location
    has_inside = active_chat_model(INSIDE) is not None
    return preview_routes(last=last, is_outside=chosen == OUTSIDE, has_inside=has_inside)


def describe_preview(found: RoutePreview) -> list[str]:
    lines = [f"{found.routes[route]:>6}  {text}" for route, text in _ROUTES.items()]
    if found.forbidding:
        lines.append("Not sent outside because of:")
    for name, count in found.forbidding.most_common():
        lines.append(f"{count:>6}  {name or 'documents that no longer exist'}")
    return lines


def describe_model(row: Mapping[str, Any]) -> str:
    indent = "  " if row["base"] else ""
    notes = ", the licence has expired" if row["licence_ended"] else ""
    name = f"{indent}{row['name']}"
    return f"{row['status']:<10} {name:<30} {row['type']}, {row['location']}, {row['licence']}{notes}"


def _describe(row: RegisteredModel) -> dict[str, Any]:
    licence = LICENCES.get(row.licence) or LICENCES["other"]
    return {
        "name": row.name,
        "status": row.status,
        "type": row.type,
        "location": row.location,
        "base_url": row.base_url,
        "model": row.model,
        "licence": licence.name,
        "licence_ended": has_ended(row.licence_ends, timezone.localdate()),
        "base": row.base.name if row.base else None,
        "measured": row.measured,
        "measured_at": row.measured_at.isoformat() if row.measured_at else None,
    }


def _add_json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST):
        raise argparse.ArgumentTypeError(f"a number from 1 to {_MOST}")
    return int(text)
