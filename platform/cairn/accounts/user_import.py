"""Import of users from a file: what each line would do, and doing it in one transaction."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from cairn.accounts.confusable_names import check_name, name_skeleton, normalize_name
from cairn.accounts.display_names import clean_display_name
from cairn.accounts.models import Group, User
from cairn.accounts.services import address_forget
from cairn.accounts.user_files import UserLine
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput
from cairn.messages import CodedMessage, gettext_noop

_PER_QUERY: Final = 500
_GROUP_SEPARATORS: Final = re.compile(r"\s*[,;|]\s*")


class LineAction(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """What a line does. `user`: the one that exists. `fields`: new values. `joins`: groups to join."""

    line: UserLine
    action: LineAction
    problem: str = ""
    user: User | None = None
    fields: dict[str, str] = field(default_factory=dict)
    joins: tuple[Group, ...] = ()


def plan_import(lines: Sequence[UserLine]) -> list[PlannedLine]:
    """Return what each line would do now, in the order of the file. Changes nothing."""
    return list(_Planner(lines).plan())


def users_import(lines: Sequence[UserLine], *, actor: UUID) -> list[PlannedLine]:
    """Create and change users, in one transaction, and return what was done. Empty cells change nothing, and
    nobody leaves a group. Lines that are refused are left out."""
    try:
        with transaction.atomic():
            plan = plan_import(lines)
            created = [each for each in plan if each.action is LineAction.CREATE]
            people = [User(password=make_password(None), **each.fields) for each in created]
            for user in people:
                user.name_skeleton = name_skeleton(user.username)
            User.objects.bulk_create(people, batch_size=_PER_QUERY)
            for user, each in zip(people, created, strict=True):
                groups = sorted(str(group.pk) for group in each.joins)
                rights = {"is_admin": False, "is_active": True, "groups": groups}
                record("user.created", actor=actor, subject=f"user:{user.pk}", **rights)
            _join([(user, each.joins) for user, each in zip(people, created, strict=True)])
            _change([each for each in plan if each.action is LineAction.CHANGE], actor)
    except IntegrityError as error:
        raise Conflict(gettext_noop("Users changed in the meantime. Check the file again.")) from error
    return plan


def _change(changed: Sequence[PlannedLine], actor: UUID) -> None:
    for each in changed:
        assert each.user is not None
        if "email" in each.fields:
            address_forget(each.user)
        User.objects.filter(pk=each.user.pk).update(**each.fields)
        joined = {"joined": sorted(str(group.pk) for group in each.joins)} if each.joins else {}
        subject = f"user:{each.user.pk}"
        record("user.changed", actor=actor, subject=subject, fields=sorted(each.fields), **joined)
    _join([(each.user, each.joins) for each in changed if each.user])


def _join(memberships: Iterable[tuple[User, Sequence[Group]]]) -> None:
    through = Group.members.through
    rows = [through(user=user, group=group) for user, groups in memberships for group in groups]
    through.objects.bulk_create(rows, batch_size=_PER_QUERY, ignore_conflicts=True)


class _Planner:
    def __init__(self, lines: Sequence[UserLine]) -> None:
        self._lines = lines
        self._groups = {group.name: group for group in Group.objects.filter(source="")}
        self._skeletons = [name_skeleton(normalize_name(line.username)) for line in lines]
        self._users = {user.name_skeleton: user for user in self._load_users()}
        self._seen: dict[str, int] = {}

    def _load_users(self) -> Iterator[User]:
        for part in _split(sorted(set(self._skeletons))):
            found = User.objects.filter(name_skeleton__in=part, has_older_lookalike=False)
            yield from found.prefetch_related("member_of")

    def plan(self) -> Iterator[PlannedLine]:
        for line, skeleton in zip(self._lines, self._skeletons, strict=True):
            try:
                yield self._plan_line(line, skeleton)
            except InvalidInput as error:
                yield PlannedLine(line, LineAction.REFUSED, error.message)
            except ValidationError as error:
                yield PlannedLine(line, LineAction.REFUSED, " ".join(error.messages))

    def _plan_line(self, line: UserLine, skeleton: str) -> PlannedLine:
        if line.problem:
            raise InvalidInput(line.problem)
        if skeleton in self._seen:
            raise InvalidInput(CodedMessage("import_duplicate", line=self._seen[skeleton]))
        self._seen[skeleton] = line.number
        username = normalize_name(line.username)
        fields = {"display_name": clean_display_name(line.display_name), "email": line.email}
        _validate("email", line.email)
        joins = self._find_groups(line.groups)
        user = self._users.get(skeleton)
        if user is None:
            check_name(username)
            _validate("username", username)
            return PlannedLine(line, LineAction.CREATE, fields={"username": username, **fields}, joins=joins)
        if user.username.casefold() != username.casefold():
            raise InvalidInput(CodedMessage("username_confusable", username=username))
        new = {name: value for name, value in fields.items() if value and value != getattr(user, name)}
        member_of = {group.pk for group in user.member_of.all()}
        missing = tuple(group for group in joins if group.pk not in member_of)
        action = LineAction.CHANGE if new or missing else LineAction.UNCHANGED
        return PlannedLine(line, action, user=user, fields=new, joins=missing)

    def _find_groups(self, text: str) -> tuple[Group, ...]:
        names = [text] if text in self._groups else [name for name in _GROUP_SEPARATORS.split(text) if name]
        for name in names:
            if name not in self._groups:
                raise InvalidInput(CodedMessage("import_unknown_group", name=name[:150]))
        return tuple(self._groups[name] for name in dict.fromkeys(names))


def _validate(name: str, value: str) -> None:
    """Raises ValidationError."""
    column: Any = User._meta.get_field(name)
    column.run_validators(value)


def _split(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(texts), _PER_QUERY):
        yield texts[begin : begin + _PER_QUERY]
