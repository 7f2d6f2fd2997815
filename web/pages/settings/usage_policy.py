"""The usage policy, for admins: a list of rules, and a form to create or change one."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from retrieval.conversations.usage_policy.matching import find_failing_examples
from retrieval.conversations.usage_policy.models import UsageRule
from retrieval.conversations.usage_policy.services import MAX_REPLY_CHARACTERS, list_rules
from web.pages.shell.decorators import page, show


@dataclass(frozen=True, slots=True)
class RuleRow:
    rule: UsageRule
    failing: int

    @property
    def examples(self) -> int:
        return len(self.rule.declined_examples) + len(self.rule.allowed_examples)


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    rows = [RuleRow(rule, len(find_failing_examples(rule))) for rule in list_rules()]
    return _show(request, principal, "pages/console/usage_policy.html", {"rows": rows})


@require_safe
@page
def new(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    return _show_form(request, principal, UsageRule())


@require_safe
@page
def rule(request: HttpRequest, principal: Principal, rule_id: str) -> HttpResponse:
    require_admin(principal)
    return _show_form(request, principal, get_or_not_found(UsageRule.objects.all(), rule_id))


def _show_form(request: HttpRequest, principal: Principal, row: UsageRule) -> HttpResponse:
    is_new = row._state.adding
    context = {
        "row": row,
        "is_new": is_new,
        "address": "/api/v1/usage-rules" if is_new else f"/api/v1/usage-rules/{row.pk}",
        "failing": find_failing_examples(row),
        "longest_reply": MAX_REPLY_CHARACTERS,
    }
    return _show(request, principal, "pages/console/usage_rule.html", context)


def _show(request: HttpRequest, principal: Principal, template: str, context: dict[str, Any]) -> HttpResponse:
    return show(request, principal, template, {"tab": "usage-policy", **context}, area="console")
