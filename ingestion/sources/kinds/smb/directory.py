"""People and groups of an Active Directory domain, read by LDAPS."""

import re
import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ldap3 import BASE, DEREF_NEVER, NONE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException
from ldap3.core.results import RESULT_INVALID_CREDENTIALS, RESULT_NO_SUCH_OBJECT, RESULT_SUCCESS

from cairn.access.source_access import SourceGroup, SourcePerson
from cairn.accounts.ldap.directory import read_directory_id
from cairn.messages import CodedMessage
from ingestion.sources.encryption import find_addresses
from ingestion.sources.kinds.smb.descriptors import EVERYONE_SID, read_sid
from ingestion.sources.kinds.smb.options import SmbOptions
from ingestion.sources.protocol import SourceRefused, SourceUnavailable, describe_error

TIMEOUT_SECONDS: Final = 30
PAGE_SIZE: Final = 500
MEMBERS_AT_ONCE: Final = 1500
"""Active Directory returns at most this many values of an attribute."""
EVERYONE_SIDS: Final = {EVERYONE_SID: "Everyone", "S-1-5-2": "NETWORK", "S-1-5-11": "Authenticated Users"}
"""Groups that everyone who signs in over the network belongs to."""

_PEOPLE: Final = "(&(objectCategory=person)(objectClass=user))"
_GROUPS: Final = "(objectClass=group)"
_PERSON_ATTRIBUTES: Final = (
    "objectSid", "objectGUID", "sIDHistory", "displayName", "cn", "sAMAccountName", "mail", "primaryGroupID",
    "userAccountControl", "accountExpires",
)  # fmt: skip
_GROUP_ATTRIBUTES: Final = ("objectSid", "sIDHistory", "sAMAccountName", "groupType")
_DISABLED: Final = 0x2
_SECURITY_GROUP: Final = 0x80000000
_BUILTIN: Final = "S-1-5-32-"
_FOREIGN: Final = re.compile(r"CN=(S-1-[0-9-]+)(\\0ACNF:[^,]*)?,CN=ForeignSecurityPrincipals,", re.IGNORECASE)
_NEVER: Final = frozenset((0, 2**63 - 1))
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_PAGED: Final = "1.2.840.113556.1.4.319"
Entry = Mapping[str, Any]


@contextmanager
def open_directory(options: SmbOptions) -> Iterator["Directory"]:
    """Connect to the domain controller and sign in. Raises SourceUnavailable or SourceRefused."""
    connection = _connect(options)
    try:
        with _translate_errors(options.directory_server):
            if not connection.bind():
                refused = connection.result["result"] == RESULT_INVALID_CREDENTIALS
                raise _refuse_sign_in(options) if refused else _interrupt(options, connection.result)
        yield Directory(options, connection)
    finally:
        with suppress(LDAPException, OSError):
            connection.unbind()


class Directory:
    """One domain of a forest."""

    def __init__(self, options: SmbOptions, connection: Connection) -> None:
        self._options, self._connection = options, connection
        self._sids: dict[str, str] = {}
        self._primary: defaultdict[str, list[str]] = defaultdict(list)
        [root] = self._search("", "(objectClass=*)", ("defaultNamingContext",), scope=BASE)
        self._base = _text(root, "defaultNamingContext")
        [domain] = self._search(self._base, "(objectClass=*)", ("objectSid",), scope=BASE)
        self.sid = _sid(domain)

    def list_people(self) -> Iterator[SourcePerson | SourceGroup]:
        """Yield the people whose accounts are enabled, and the groups that count for permissions."""
        people = []
        for entry in self._search_pages(_PEOPLE, _PERSON_ATTRIBUTES):
            if _may_sign_in(entry):
                person = self._read_person(entry)
                people.append(person.id)
                yield person
                yield from _list_former_groups(entry, person.id)
        yield from self._list_groups()
        for sid, name in EVERYONE_SIDS.items():
            yield SourceGroup(sid, name, tuple(people))

    def _read_person(self, entry: Entry) -> SourcePerson:
        sid = _sid(entry)
        self._sids[entry["dn"].casefold()] = sid
        self._primary[f"{self.sid}-{_text(entry, 'primaryGroupID')}"].append(sid)
        name = _text(entry, "displayName") or _text(entry, "cn") or _text(entry, "sAMAccountName")
        return SourcePerson(sid, name, _text(entry, "mail"), read_directory_id(entry))

    def _list_groups(self) -> Iterator[SourceGroup]:
        """Yield groups with the ids of their members. Those of the file server itself are read there."""
        groups = []
        for entry in self._search_pages(_GROUPS, _GROUP_ATTRIBUTES):
            sid = _sid(entry)
            if int(_text(entry, "groupType") or 0) & _SECURITY_GROUP and not sid.startswith(_BUILTIN):
                self._sids[entry["dn"].casefold()] = sid
                groups.append((sid, entry["dn"], _text(entry, "sAMAccountName")))
                yield from _list_former_groups(entry, sid)
        for sid, dn, name in groups:
            members = (self._find_sid(member) for member in self._list_member_names(dn))
            yield SourceGroup(sid, name, (*self._primary.get(sid, ()), *filter(None, members)))

    def _find_sid(self, dn: str) -> str:
        """Return the id of a member, "" for computers, disabled accounts and groups that only get mail."""
        foreign = _FOREIGN.match(dn)
        return foreign[1] if foreign else self._sids.get(dn.casefold(), "")

    def _list_member_names(self, dn: str) -> Iterator[str]:
        """Yield the names of all members; ldap3 asks for one range after the other."""
        attribute = f"member;range=0-{MEMBERS_AT_ONCE - 1}"
        for group in self._search(dn, "(objectClass=*)", (attribute,), scope=BASE):
            for name in group["raw_attributes"].get("member", ()):
                yield name.decode("utf-8", "replace")

    def _search_pages(self, pattern: str, attributes: tuple[str, ...]) -> Iterator[Entry]:
        cookie: bytes | None = None
        while cookie != b"":
            yield from self._search(
                self._base, pattern, attributes, paged_size=PAGE_SIZE, paged_cookie=cookie
            )
            cookie = self._connection.result["controls"][_PAGED]["value"]["cookie"]

    def _search(self, base: str, pattern: str, attributes: tuple[str, ...], **options: Any) -> list[Entry]:
        with _translate_errors(self._options.directory_server):
            self._connection.search(
                base,
                pattern,
                options.pop("scope", SUBTREE),
                dereference_aliases=DEREF_NEVER,
                attributes=attributes,
                **options,
            )
        if self._connection.result["result"] not in {RESULT_SUCCESS, RESULT_NO_SUCH_OBJECT}:
            raise _interrupt(self._options, self._connection.result)
        return [each for each in self._connection.response if each["type"] == "searchResEntry"]


class _NamedTls(Tls):  # type: ignore[misc]  # ldap3 has no types
    """Python's own check of the certificate, for a server that is connected to by its address."""

    def __init__(self, options: SmbOptions) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._name = options.directory_server
        self._context = ssl.create_default_context(cadata=options.directory_certificate or None)

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:  # noqa: ARG002
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._name)


def _connect(options: SmbOptions) -> Connection:
    failure: Exception = OSError(options.directory_server)
    for address in find_addresses(options.directory_server, options.directory_port, encrypted=True):
        connection = _prepare(options, str(address))
        try:
            connection.open(read_server_info=False)
        except (LDAPException, OSError) as error:
            failure = error
            if connection.socket is not None:
                connection.socket.close()
        else:
            return connection
    raise SourceUnavailable(
        CodedMessage("source_away", server=options.directory_server, reason=describe_error(failure))
    ) from failure


def _prepare(options: SmbOptions, address: str) -> Connection:
    own = bool(options.directory_username)
    secret = options.directory_password if own else options.password
    try:
        tls = _NamedTls(options)
    except (ssl.SSLError, ValueError) as error:
        raise SourceRefused(CodedMessage("smb_certificate_invalid")) from error
    server = Server(
        address,
        options.directory_port,
        use_ssl=True,
        tls=tls,
        get_info=NONE,
        connect_timeout=TIMEOUT_SECONDS,
    )
    return Connection(
        server,
        user=options.directory_username or options.username,
        password=secret.get_secret_value(),
        auto_referrals=False,
        check_names=False,
        read_only=True,
        receive_timeout=TIMEOUT_SECONDS,
    )


@contextmanager
def _translate_errors(server: str) -> Iterator[None]:
    try:
        yield
    except (LDAPException, OSError, UnicodeError) as error:
        reason = describe_error(error)
        raise SourceUnavailable(CodedMessage("source_interrupted", server=server, reason=reason)) from error


def _refuse_sign_in(options: SmbOptions) -> SourceRefused:
    return SourceRefused(CodedMessage("source_sign_in_refused", server=options.directory_server))


def _interrupt(options: SmbOptions, result: Mapping[str, Any]) -> SourceUnavailable:
    reason = str(result["description"])
    return SourceUnavailable(
        CodedMessage("source_interrupted", server=options.directory_server, reason=reason)
    )


def _may_sign_in(person: Entry) -> bool:
    """Return whether the account is enabled and hasn't expired."""
    if int(_text(person, "userAccountControl") or 0) & _DISABLED:
        return False
    expires = int(_text(person, "accountExpires") or 0)
    if expires in _NEVER:
        return True
    return datetime.now(UTC) < _EPOCH + timedelta(microseconds=expires // 10)


def _list_former_groups(entry: Entry, sid: str) -> Iterator[SourceGroup]:
    """Yield each id that a person or group had in another domain, as a group. Permissions may name it."""
    for value in entry["raw_attributes"].get("sIDHistory", ()):
        yield SourceGroup(read_sid(value), _text(entry, "sAMAccountName"), (sid,))


def _sid(entry: Entry) -> str:
    [value] = entry["raw_attributes"]["objectSid"]
    return read_sid(value)


def _text(entry: Entry, attribute: str) -> str:
    values = entry["raw_attributes"].get(attribute) or [b""]
    return str(bytes(values[0]).decode("utf-8", "replace"))
