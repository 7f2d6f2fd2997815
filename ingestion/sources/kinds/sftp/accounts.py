"""Users and groups of a Unix system, in the format of /etc/passwd and /etc/group."""

from collections.abc import Iterator
from dataclasses import dataclass

from cairn.access.source_access import SourceGroup, SourcePerson
from ingestion.sources.kinds.sftp.permissions import ACCOUNTS, group_id, user_id


@dataclass(frozen=True, slots=True)
class Account:
    """A user, with the number of their first group."""

    name: str
    number: int
    group: int
    full_name: str


def list_accounts(passwd: str, group: str) -> Iterator[SourcePerson | SourceGroup]:
    """Yield the people and groups of these files, with the first group of each person.

    Of several names with the same number, the first one counts; the person is in the groups of all of them.
    """
    by_name = {account.name: account for account in _parse_passwd(passwd)}
    accounts = {account.number: account for account in reversed(by_name.values())}
    members: dict[int, set[int]] = {}
    names: dict[int, str] = {}
    for fields in _split(group, 4):
        number = int(fields[2])
        names.setdefault(number, fields[0])
        listed = (by_name[name].number for name in fields[3].split(",") if name in by_name)
        members.setdefault(number, set()).update(listed)
    for account in by_name.values():
        members.setdefault(account.group, set()).add(account.number)
    for account in accounts.values():
        yield SourcePerson(user_id(account.number), account.full_name or account.name)
    for number, users in sorted(members.items()):
        name = names.get(number, str(number))
        yield SourceGroup(group_id(number), name, tuple(map(user_id, sorted(users))))
    yield SourceGroup(ACCOUNTS, "Accounts", tuple(map(user_id, sorted(accounts))))


def _parse_passwd(text: str) -> Iterator[Account]:
    for fields in _split(text, 7):
        yield Account(fields[0], int(fields[2]), int(fields[3]), fields[4].split(",")[0].strip())


def _split(text: str, count: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == count and fields[2].isdecimal():
            yield fields
