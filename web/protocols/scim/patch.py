"""PATCH requests, normalised to one operation for each attribute.

Members of a group are computed here, as sets of ids: scim2-models would compare each of thousands with each
named one. It applies everything else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from scim2_models import (
    Context,
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    PatchOp,
    Path,
    Resource,
)
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator, ValuePath

from cairn.accounts.provisioning import MAX_MEMBERS
from web.protocols.scim.filters import LONGEST
from web.protocols.scim.resources import Group

OPERATIONS_AT_MOST = 1000
R = TypeVar("R", bound=Resource[Any])
Operation = dict[str, Any]


def operations_of(data: Any) -> list[Operation]:
    """Split operations by attribute: a value without a path contains several."""
    sent = data.get("Operations") if isinstance(data, dict) else None
    if not isinstance(sent, list) or not all(isinstance(each, dict) for each in sent):
        raise InvalidSyntaxException(detail="A PATCH has a list of Operations.")
    apart = [operation for each in sent for operation in _apart(each)]
    if len(apart) > OPERATIONS_AT_MOST:
        raise InvalidValueException(detail=f"A PATCH has {OPERATIONS_AT_MOST} operations at most.")
    if any(len(str(operation.get("path", ""))) > LONGEST for operation in apart):
        raise InvalidPathException(detail=f"A path has {LONGEST} characters at most.")
    return apart


def _apart(operation: Operation) -> Iterator[Operation]:
    value = operation.get("value")
    if operation.get("path") or not isinstance(value, dict):
        yield operation
        return
    for path, part in value.items():
        if path.lower() not in {"schemas", "id", "meta"}:
            yield {**operation, "path": path, "value": part}


def patch(resource: R, data: Mapping[str, Any], operations: list[Operation]) -> R:
    """Apply the operations to the resource."""
    if operations:
        body = {"schemas": data.get("schemas"), "Operations": operations}
        kind = _patch_of(type(resource))
        kind.model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST).patch(resource)
    return resource


@cache
def _patch_of(kind: type[Resource[Any]]) -> Any:
    """Return the patch model, cached, as Pydantic would rebuild it at a higher cost than applying it."""
    return PatchOp.__class_getitem__(kind)


@dataclass
class Membership:
    """Ids of members, changed by one operation after another."""

    ids: set[str] = field(default_factory=set)

    def apply(self, operations: list[Operation]) -> list[Operation]:
        """Apply operations on members and return the others."""
        return [operation for operation in operations if not self._apply_to_members(operation)]

    def _apply_to_members(self, operation: Operation) -> bool:
        """Apply an operation on members. Return whether it was one."""
        path = str(operation.get("path") or "").removeprefix(f"{Group.__schema__}:")
        if not path.lower().startswith("members"):
            return False
        node = Path.__class_getitem__(Group)(path).ast
        named = _parse_member_ids(node) if isinstance(node, ValuePath) else None
        if named is None and path.lower() != "members":
            raise InvalidPathException(detail="Members are named as members, or by members[value eq …].")
        self._change(str(operation.get("op")).lower(), named, operation.get("value"))
        return True

    def _change(self, kind: str, named: set[str] | None, value: Any) -> None:
        match kind:
            case "add" if named is None:
                self.ids |= members_in(value)
            case "replace" if named is None:
                self.ids = members_in(value)
            case "remove" if named is not None:
                self.ids -= named
            case "remove":
                self.ids = self.ids - members_in(value) if value else set()
            case "add" | "replace":
                raise InvalidPathException(detail="Members come and go as a whole.")
            case _:
                raise InvalidValueException(detail="An operation is add, replace or remove.")


def members_in(value: Any) -> set[str]:
    """Return the ids in `[{"value": id}, …]`, or in one such object."""
    members = [] if value is None else value if isinstance(value, list) else [value]
    if len(members) > MAX_MEMBERS:
        raise InvalidValueException(detail=f"A group has {MAX_MEMBERS} members at most.")
    return {_member_id(member) for member in members}


def _member_id(member: Any) -> str:
    value = member.get("value") if isinstance(member, dict) else None
    if not isinstance(value, str):
        raise InvalidValueException(detail="Each member has a value: the id of a user.")
    return value


def _parse_member_ids(node: ValuePath) -> set[str]:
    if node.sub_attr:
        raise InvalidPathException(detail="Members come and go as a whole.")
    return set(_values(node.val_filter))


def _values(node: FilterNode) -> Iterator[str]:
    match node:
        case LogicalExpr(op=LogicalOperator.or_):
            for term in node.terms:
                yield from _values(term)
        case Comparison(op=CompareOperator.eq, value=str()) if node.attr_path.attr.lower() == "value":
            yield node.value
        case _:
            raise InvalidPathException(detail="Members are chosen by value eq, and or.")
