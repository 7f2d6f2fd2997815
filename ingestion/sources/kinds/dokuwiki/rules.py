"""Access to pages and files, as DokuWiki's rules say.

The rules for a page itself come first, then those of its namespaces from the inside out. The first of these
with a rule for a person or one of their groups decides. If it has several, the one that allows most counts.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cairn.access.source_access import EVERYONE, AccessEntry, SourceAccess
from cairn.messages import CodedMessage

ALL: Final = "@ALL"
SIGNED_IN: Final = "signed-in"
"""Id of the group of all users, %USER% in the rules."""
_USER, _GROUP = "%USER%", "%GROUP%"
_NOT_SET: Final = "!!not set!!"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for a page, or for a namespace if the scope ends with "*". Groups begin with "@"."""

    scope: str
    subject: str
    allow: bool


@dataclass(frozen=True, slots=True)
class WikiUser:
    """A user of the wiki. `groups` are without "@"."""

    login: str
    name: str
    email: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WikiSettings:
    """Settings of the wiki that say how names are compared. `superusers` has users and @groups."""

    superusers: tuple[str, ...]
    authentication: str
    separator: str = "_"
    drops_accents: bool = True

    def compare(self, name: str) -> str:
        """Return a user or group as the wiki compares it. Raises UnclearName if that can't be known."""
        if self.authentication == "authplain":
            return self.clean_id(re.sub("[:/;]", self.separator, name))
        return name.lower() if self.authentication in {"authad", "authldap"} else name

    def clean_id(self, name: str) -> str:
        """Return the name as part of a page's id. Raises UnclearName for letters that it may transcribe."""
        if not name.isascii() and self.drops_accents:
            raise UnclearName(name)
        unsafe = r"[\x00-,/<-@\[-^`{-\x7f]"
        clean = re.sub(unsafe, self.separator, name.strip().lower().replace(";", ":"))
        clean = re.sub(":+", ":", re.sub(f"{re.escape(self.separator)}+", self.separator, clean))
        clean = re.sub(r":[:._-]+", ":", clean.strip(":._-"))
        return re.sub(r"[:._-]+:", ":", clean)


class UnclearName(ValueError):
    """The wiki uses a name in a form that Cairn can't determine."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def user_id(login: str) -> str:
    return f"user:{login}"


def group_id(group: str) -> str:
    return f"group:{group}"


class AccessRules:
    """Rules of a wiki with wildcards replaced. Users have names and groups as the wiki compares them.

    `groups` has those of the users, and those without users that the rules name.
    """

    def __init__(self, rules: Iterable[Rule], settings: WikiSettings, users: Sequence[WikiUser]) -> None:
        self._settings, self.users = settings, users
        rules = list(rules)
        self._groups = frozenset(group for user in users for group in user.groups)
        self._names = {user.login for user in users} | {f"@{group}" for group in self._groups}
        self._folded = {name.lower() for name in self._names}
        self._found: dict[str, dict[str, bool]] = defaultdict(dict)
        self._unclear: list[tuple[re.Pattern[str], str]] = []
        for rule in rules:
            self._add(rule)
        self._superusers = tuple(self._list_superusers())
        named = (rule.subject[1:] for rule in rules if rule.subject.startswith("@") and rule.subject != ALL)
        self.groups = self._groups.union(named)

    def find_page_access(self, page: str) -> SourceAccess:
        return self._find((page, *_list_scopes(page)))

    def find_file_access(self, file: str) -> SourceAccess:
        """Return the access of an uploaded file: that of its namespace."""
        return self._find(tuple(_list_scopes(file)))

    def _find(self, scopes: Sequence[str]) -> SourceAccess:
        for pattern, reason in self._unclear:
            if any(map(pattern.fullmatch, scopes)):
                return SourceAccess(unknown=reason)
        entries = list(self._superusers)
        for scope in scopes:
            found = self._found.get(scope, {})
            for allow in (True, False):
                entries += (AccessEntry(who, allow) for who, may in found.items() if may is allow)
            if EVERYONE in found:
                break
        return SourceAccess((tuple(entries),))

    def _add(self, rule: Rule) -> None:
        is_named = rule.subject == ALL or rule.subject in self._names
        if not is_named and rule.subject.lower() in self._folded:
            self._mark_unclear(rule, CodedMessage("dokuwiki_rule_unclear", name=rule.subject))
        if not is_named and not rule.subject.startswith(("@", "%")):
            return  # a user who doesn't exist
        for scope, subject in self._expand(rule):
            found = self._found[scope]
            found[subject] = found.get(subject, False) or rule.allow

    def _expand(self, rule: Rule) -> Iterator[tuple[str, str]]:
        both = f"{rule.scope} {rule.subject}"
        if _USER not in both and _GROUP not in both:
            yield rule.scope, _subject_id(rule.subject)
        elif _USER not in rule.scope and _GROUP not in both and rule.subject == _USER:
            yield rule.scope, SIGNED_IN
        elif _USER not in both and rule.subject == _GROUP:
            for group in self._groups:
                yield from self._replace(rule, "", group, group_id(group))
        else:
            for user in self.users:
                yield from self._expand_for(user, rule, has_group=_GROUP in both)

    def _expand_for(self, user: WikiUser, rule: Rule, *, has_group: bool) -> Iterator[tuple[str, str]]:
        names = {ALL, user.login, *(f"@{group}" for group in user.groups)}
        for group in user.groups if has_group else ("",):
            if rule.subject.replace(_USER, user.login).replace(_GROUP, f"@{group}") in names:
                yield from self._replace(rule, user.login, group, user_id(user.login))

    def _replace(self, rule: Rule, login: str, group: str, subject: str) -> Iterator[tuple[str, str]]:
        try:
            user_part = self._settings.clean_id(login) if _USER in rule.scope else ""
            group_part = self._settings.clean_id(group) if _GROUP in rule.scope else ""
        except UnclearName as error:
            self._mark_unclear(rule, CodedMessage("dokuwiki_name_unclear", name=error.name))
            return
        yield rule.scope.replace(_USER, user_part).replace(_GROUP, group_part), subject

    def _mark_unclear(self, rule: Rule, reason: str) -> None:
        if rule.allow:  # without it, nobody gains access
            return
        pattern = re.escape(rule.scope).replace(_USER, "[^:]*").replace(_GROUP, "[^:]*")
        self._unclear.append((re.compile(pattern), reason))

    def _list_superusers(self) -> Iterator[AccessEntry]:
        for name in self._settings.superusers:
            if name == ALL:
                yield AccessEntry(EVERYONE)
                return
            try:
                subject = self._settings.compare(name.removeprefix("@"))
            except UnclearName:
                continue
            if name != _NOT_SET and subject:
                yield AccessEntry(group_id(subject) if name.startswith("@") else user_id(subject))


def _subject_id(subject: str) -> str:
    if subject == ALL:
        return EVERYONE
    return group_id(subject[1:]) if subject.startswith("@") else user_id(subject)


def _list_scopes(name: str) -> Iterator[str]:
    namespace, separator, _name = name.rpartition(":")
    while separator:
        yield f"{namespace}:*"
        namespace, separator, _name = namespace.rpartition(":")
    yield "*"


def compare_users(users: Collection[WikiUser], settings: WikiSettings) -> list[WikiUser]:
    """Return the users with logins and groups as the wiki compares them.

    Raises UnclearName for names that were edited into the wiki's user file by hand, and that the wiki
    normalises differently in different places.
    """
    compared = []
    for user in users:
        names = [settings.compare(name) for name in (user.login, *user.groups)]
        if settings.authentication == "authplain":
            odd = (name for name in (user.login, *user.groups) if name not in names)
            if (name := next(odd, None)) is not None:
                raise UnclearName(name)
        login, *groups = names
        compared.append(WikiUser(login, user.name, user.email, tuple(dict.fromkeys(groups))))
    return compared
