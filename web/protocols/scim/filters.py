"""SCIM filters as query conditions: equality with `and` and `or`; others are refused."""

from collections.abc import Callable, Mapping
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import Q
from scim2_models import InvalidFilterException, ScimFilter
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    ValuePath,
)

from cairn.access.selectors import parse_id
from cairn.accounts.models import Identity
from cairn.accounts.provisioning import SCIM
from cairn.errors import InvalidInput, NotFound
from web.api.framework.request_parser import check_text
from web.protocols.scim.resources import WORK

LONGEST = 1000
Conditions = Mapping[str, Callable[[str], Q]]


def _id(field: str) -> Callable[[str], Q]:
    def condition(value: str) -> Q:
        try:
            return Q(**{field: parse_id(value)})
        except NotFound:
            return Q(pk__in=())

    return condition


def _match_external_id(value: str) -> Q:
    return Q(pk__in=Identity.objects.filter(source=SCIM, external_id=value).values("user"))


def _email(value: str) -> Q:
    return Q(email__iexact=value) & ~Q(email="")


def _email_type(value: str) -> Q:
    return ~Q(email="") if value.lower() == WORK else Q(pk__in=())


USERS: Conditions = {
    "id": _id("pk"),
    "externalid": _match_external_id,
    "username": lambda value: Q(username__iexact=value),
    "emails": _email,
    "emails.value": _email,
    "emails.type": _email_type,
}
GROUPS: Conditions = {
    "id": _id("pk"),
    "externalid": lambda value: Q(external_id=value),
    "displayname": lambda value: Q(name=value),
    "members": _id("members"),
    "members.value": _id("members"),
}


def condition_of(text: "ScimFilter[Any]", conditions: Conditions) -> Q:
    """Translate a filter. Raises InvalidFilterException for unsupported ones."""
    return _Conditions(conditions).visit(text.ast)


class _Conditions(FilterVisitor[Q]):
    def __init__(self, known: Conditions, around: str = "") -> None:
        self._known = known
        self._around = around

    def visit_comparison(self, node: Comparison) -> Q:
        condition = self._known.get(self._around + _name(node.attr_path))
        if condition is None or node.op is not CompareOperator.eq or not isinstance(node.value, str):
            raise _build_filter_error(self._known)
        try:
            check_text(node.value)  # escapes in a literal can make any character
        except InvalidInput as error:
            raise InvalidFilterException(detail="Text may hold neither NUL nor lone surrogates.") from error
        return condition(node.value)

    def visit_logical_expr(self, node: LogicalExpr) -> Q:
        return reduce(and_ if node.op is LogicalOperator.and_ else or_, map(self.visit, node.terms))

    def visit_value_path(self, node: ValuePath) -> Q:
        return _Conditions(self._known, f"{_name(node.attr_path)}.").visit(node.val_filter)

    def visit(self, node: FilterNode) -> Q:
        try:
            return super().visit(node)
        except NotImplementedError as error:  # not, pr
            raise _build_filter_error(self._known) from error


def _name(path: AttrPath) -> str:
    return f"{path.attr}.{path.sub_attr}".lower() if path.sub_attr else path.attr.lower()


def _build_filter_error(known: Conditions) -> InvalidFilterException:
    return InvalidFilterException(detail=f"Filters are eq, and, or; of {', '.join(known)}.")
