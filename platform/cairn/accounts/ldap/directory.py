"""Lookup of a person in an LDAP directory, by user name and password."""

import logging
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_noop
from ldap3 import DEREF_NEVER, NONE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException, LDAPSASLPrepError
from ldap3.core.results import RESULT_BUSY, RESULT_SIZE_LIMIT_EXCEEDED, RESULT_SUCCESS, RESULT_UNAVAILABLE
from ldap3.utils.conv import escape_filter_chars

from cairn.errors import Unavailable
from cairn.settings.ldap import LdapSettings

log = logging.getLogger(__name__)

SECONDS = 5
"""To connect, and for each answer."""
AWAY = gettext_noop("The directory isn’t responding. Try again in a moment. Local accounts still work.")
DOWN = {RESULT_BUSY, RESULT_UNAVAILABLE}
PROFILE = ("displayName", "cn", "mail")
IDS = ("entryUUID", "objectGUID")
GUID_BYTES = 16
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LdapPerson:
    """`external_id` stays the same whatever the person is called. Display name and address may be empty."""

    external_id: str
    username: str
    display_name: str
    email: str
    groups: tuple[str, ...]


class CheckedTls(Tls):  # type: ignore[misc]  # ldap3 has no types
    """Python's own check of certificate and host name; ldap3 brings an old copy of it."""

    def __init__(self, ca_file: Path | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = ssl.create_default_context(cafile=ca_file)

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:  # noqa: ARG002
        connection.socket = self._context.wrap_socket(
            connection.socket, server_hostname=connection.server.host
        )


class Directory:
    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings

    def find(self, username: str, password: str) -> LdapPerson | None:
        """Return the one person with this name and password, else None. Raises Unavailable if the directory
        does not respond."""
        if not password:  # a bind without one is anonymous, and always succeeds
            return None
        try:
            return self._find(username, password)
        except (LDAPException, OSError, UnicodeError) as error:
            log.warning("cannot query the LDAP directory: %s", type(error).__name__)
            raise Unavailable(AWAY) from error

    def _find(self, username: str, password: str) -> LdapPerson | None:
        settings = self._settings
        with self._open_connection() as ours:
            _bind(ours)
            names = {"username": username}
            attributes = [settings.user_name, *PROFILE]
            people = self._entries(ours, settings.user_base, settings.user_filter, names, attributes)
            if len(people) != 1:
                return None
            [person] = people
            if not self._has_password(person["dn"], password):
                return None
            names["dn"] = person["dn"]
            return _read_person(person, settings.user_name, self._groups(ours, names))

    def _groups(self, ours: Connection, names: Mapping[str, str]) -> tuple[str, ...]:
        settings = self._settings
        if not settings.group_base:
            return ()
        groups = self._entries(ours, settings.group_base, settings.group_filter, names, ["cn"], most=0)
        return tuple(name for group in groups if (name := _text(group, "cn")))

    def _has_password(self, dn: str, password: str) -> bool:
        with self._open_connection(dn, password) as theirs:
            try:
                bound: bool = theirs.bind()
            except LDAPSASLPrepError:  # no directory accepts such characters
                return False
            if theirs.result["result"] in DOWN:
                raise Unavailable(AWAY)
            return bound

    def _entries(
        self,
        ours: Connection,
        base: str,
        pattern: str,
        names: Mapping[str, str],
        attributes: Sequence[str],
        *,
        most: int = 2,
    ) -> list[Entry]:
        ours.search(
            base,
            _fill_pattern(pattern, names),
            SUBTREE,
            dereference_aliases=DEREF_NEVER,
            attributes=[*attributes, *IDS],
            size_limit=most,
            time_limit=SECONDS,
        )
        result = ours.result["result"]
        if result not in {RESULT_SUCCESS, RESULT_SIZE_LIMIT_EXCEEDED}:
            log.warning("cannot search the LDAP directory: %s", ours.result["description"])
            raise Unavailable(AWAY)
        return [each for each in ours.response if each["type"] == "searchResEntry"]

    @contextmanager
    def _open_connection(self, dn: str | None = None, password: str | None = None) -> Iterator[Connection]:
        """Open a connection as the given person, or as Cairn. It is not bound yet."""
        settings = self._settings
        connection = Connection(
            self._server(),
            user=settings.bind_dn or None if dn is None else dn,
            password=settings.bind_password or None if dn is None else password,
            auto_referrals=False,
            check_names=False,
            read_only=True,
            receive_timeout=SECONDS,
        )
        try:
            connection.open(read_server_info=False)
            if settings.start_tls:
                connection.start_tls(read_server_info=False)
            yield connection
        finally:
            _close(connection)

    def _server(self) -> Server:
        settings = self._settings
        return Server(
            settings.host,
            settings.port,
            use_ssl=settings.tls,
            tls=CheckedTls(settings.ca_file),
            get_info=NONE,
            connect_timeout=SECONDS,
        )


def _close(connection: Connection) -> None:
    with suppress(LDAPException, OSError):
        connection.unbind()
    if connection.socket is not None:  # one that was not opened all the way is forgotten by ldap3
        connection.socket.close()


def _bind(ours: Connection) -> None:
    if not ours.bind():
        log.warning("the LDAP directory rejected LDAP_BIND_DN: %s", ours.result["description"])
        raise Unavailable(AWAY)


def _fill_pattern(pattern: str, names: Mapping[str, str]) -> str:
    """Fill names into the pattern, escaped so that they cannot change it."""
    return re.sub(r"\{(\w+)\}", lambda found: escape_filter_chars(names[found[1]]), pattern)


def _read_person(person: Entry, user_name: str, groups: tuple[str, ...]) -> LdapPerson | None:
    external_id, username = read_directory_id(person), _text(person, user_name)
    if not (external_id and username):
        log.warning("the LDAP directory returned neither entryUUID nor objectGUID, or no %s", user_name)
        return None
    display_name = _text(person, "displayName") or _text(person, "cn")
    return LdapPerson(external_id, username, display_name, _text(person, "mail"), groups)


def read_directory_id(person: Entry) -> str:
    """Return the stable id of a person in the directory; "" without one."""
    if text := _text(person, "entryUUID"):
        return text.lower()
    [guid] = person["raw_attributes"].get("objectGUID") or [b""]
    return str(UUID(bytes_le=guid)) if len(guid) == GUID_BYTES else ""


def _text(entry: Entry, attribute: str) -> str:
    values = entry["raw_attributes"].get(attribute) or [b""]
    return str(bytes(values[0]).decode("utf-8", "replace"))
