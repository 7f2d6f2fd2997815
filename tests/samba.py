"""A Samba server as an Active Directory domain controller with a share, on a loopback address of its own.

Its ports are fixed, so each server has its own address; and its own /run, since the path of winbindd's
socket is fixed too.
"""

import os
import random
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import pytest
from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE, NONE, Connection, Server
from ldap3.core.exceptions import LDAPException
from smbprotocol.connection import Connection as SmbConnection
from smbprotocol.exceptions import SMBException, SMBResponseException
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    ImpersonationLevel,
    Open,
    SMB2SetInfoRequest,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from ingestion.sources.kinds.smb.descriptors import read_sid, write_sid
from tests.backends import Process, require
from tests.directory import make_certificate

ADMIN: Final = "Administrator"
ADMIN_PASSWORD: Final = "Of-Cairn-1"
PASSWORD: Final = "Of-People-2"
BASE: Final = "DC=cairn,DC=test"
ALLOW, DENY = 0, 1
OBJECT_INHERIT, CONTAINER_INHERIT, INHERIT_ONLY, INHERITED = 1, 2, 8, 0x10
READ, WRITE, EXECUTE, FULL = 0x120089, 0x100116, 0x1200A0, 0x1F01FF
READ_DATA: Final = 1
ALL_SHARING: Final = 7
_SECURITY_INFO: Final = 3
_DACL, _OWNER = 4, 1


class Ace(NamedTuple):
    sid: str
    kind: int = ALLOW
    mask: int = READ
    flags: int = 0


class SambaDomain(Process):
    name = "samba"

    def __init__(self) -> None:
        self._program = require("samba-ad-dc", "samba")
        self._tool = require("samba-ad-provision", "samba-tool")
        if os.geteuid():
            pytest.skip("Samba as a domain controller needs ports that only root may use")
        if not Path("/usr/share/samba/setup/provision.ldif").exists():
            pytest.skip("samba-ad-provision is not installed (Debian package samba-ad-provision)")
        super().__init__()
        parts = random.sample(range(2, 254), 3)
        self.address = "127.{}.{}.{}".format(*parts)
        self.ca_file = self.folder / "certificate.pem"
        self.share = self.folder / "share"
        self._directory: Connection | None = None
        self._namespace: Path | None = None

    def prepare(self) -> None:
        if self.share.exists():
            return
        options = [
            "--realm=CAIRN.TEST",
            "--domain=CAIRN",
            f"--adminpass={ADMIN_PASSWORD}",
            "--server-role=dc",
        ]
        options += ["--dns-backend=NONE", f"--host-ip={self.address}", "--host-name=files"]
        options += [f"--targetdir={self.folder}", "--option=acl_xattr:ignore system acls=yes"]
        provision = [self._tool, "domain", "provision", *options]
        subprocess.run(provision, check=True, capture_output=True)
        make_certificate(self.ca_file, self.folder / "key.pem", self.address)
        (self.folder / "key.pem").chmod(0o600)
        (self.folder / "smb.conf").write_text(self._configuration())
        self.share.mkdir(mode=0o777)
        self.share.chmod(0o777)
        self.folder.chmod(0o755)

    def _configuration(self) -> str:
        here = self.folder
        return "\n".join(
            [
                "[global]",
                "bind interfaces only = yes",
                f"interfaces = {self.address}/8",
                "netbios name = FILES",
                "realm = CAIRN.TEST",
                "workgroup = CAIRN",
                "server role = active directory domain controller",
                "server services = s3fs, rpc, ldap, winbindd",
                f"private dir = {here}/private",
                f"lock directory = {here}",
                f"state directory = {here}/state",
                f"cache directory = {here}/cache",
                f"binddns dir = {here}/bind-dns",
                f"log file = {here}/log.%m",
                "log level = 0",
                f"tls certfile = {self.ca_file}",
                f"tls keyfile = {here}/key.pem",
                "tls cafile =",
                "load printers = no",
                "disable spoolss = yes",
                "acl_xattr:ignore system acls = yes",
                "server signing = mandatory",
                "[share]",
                f"path = {self.share}",
                "read only = no",
                "",
            ]
        )

    def command(self) -> Sequence[str]:
        start = f"mount -t tmpfs tmpfs /run && mkdir /run/samba && exec {self._program} -i"
        return ["unshare", "-m", "sh", "-c", f"{start} --configfile={self.folder}/smb.conf"]

    def answers(self) -> bool:
        try:
            with self.signed_in(ADMIN, ADMIN_PASSWORD):
                return self._connect_directory()
        except (SMBException, ValueError, OSError):
            return False

    def _connect_directory(self) -> bool:
        server = Server(self.address, 636, use_ssl=True, get_info=NONE)
        connection = Connection(server, f"CAIRN\\{ADMIN}", ADMIN_PASSWORD, auto_referrals=False)
        try:
            if connection.bind():
                self._directory = connection
                return True
        except LDAPException:
            pass
        if connection.socket is not None:
            connection.socket.close()
        return False

    @property
    def directory(self) -> Connection:
        assert self._directory is not None
        return self._directory

    @contextmanager
    def signed_in(self, name: str, password: str = PASSWORD) -> Iterator["Client"]:
        connection = SmbConnection(uuid4(), self.address, 445)
        connection.connect(timeout=10)
        try:
            session = Session(connection, f"CAIRN\\{name}", password, auth_protocol="ntlm")
            session.connect()
            tree = TreeConnect(session, r"\\files\share")
            tree.connect()
            yield Client(tree)
        finally:
            connection.disconnect()

    def change(self, dn: str, **values: tuple[str, list[Any]]) -> None:
        changes = {name: [(operation, listed)] for name, (operation, listed) in values.items()}
        if not self.directory.modify(dn, changes):
            raise AssertionError(self.directory.result)

    def add_person(self, name: str, **attributes: Any) -> str:
        dn = f"CN={name},CN=Users,{BASE}"
        fields = {"sAMAccountName": name, "unicodePwd": f'"{PASSWORD}"'.encode("utf-16-le")}
        fields |= {"userAccountControl": 512, **attributes}
        if not self.directory.add(dn, ["user"], fields):
            raise AssertionError(self.directory.result)
        return dn

    def add_group(self, name: str, members: Iterable[str] = (), group_type: int = -2147483646) -> str:
        dn = f"CN={name},CN=Users,{BASE}"
        fields: dict[str, Any] = {"sAMAccountName": name, "groupType": group_type}
        if listed := list(members):
            fields["member"] = listed
        if not self.directory.add(dn, ["group"], fields):
            raise AssertionError(self.directory.result)
        return dn

    def set_members(self, group: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        for operation, listed in ((MODIFY_ADD, list(add)), (MODIFY_DELETE, list(remove))):
            if listed:
                self.change(group, member=(operation, listed))

    def replace(self, dn: str, **values: Any) -> None:
        self.change(dn, **{name: (MODIFY_REPLACE, [value]) for name, value in values.items()})

    def sid(self, dn: str) -> str:
        self.directory.search(dn, "(objectClass=*)", "BASE", attributes=["objectSid"])
        return read_sid(self.directory.response[0]["raw_attributes"]["objectSid"][0])

    def set_share_permissions(self, sddl: str) -> None:
        tool = require("samba-common-bin", "sharesec")
        subprocess.run(
            [tool, f"--configfile={self.folder}/smb.conf", "share", f"--setsddl={sddl}"],
            check=True,
            capture_output=True,
        )

    def signal(self, number: int) -> None:
        """Send a signal to all processes of the server, which share its mount namespace."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self._namespace and (folder / "ns/mnt").readlink() == self._namespace:
                    os.kill(int(folder.name), number)

    def start(self) -> None:
        super().start()
        assert self._process is not None
        namespace = Path(f"/proc/{self._process.pid}/ns/mnt").readlink()
        self._namespace = namespace if namespace != Path("/proc/self/ns/mnt").readlink() else None

    def stop(self) -> None:
        if self._directory is not None:
            self._directory.unbind()
            self._directory = None
        super().stop()
        self.signal(signal.SIGKILL)  # helpers that outlive it
        self._namespace = None

    def close(self) -> None:
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Client:
    """The access of one person to the share."""

    def __init__(self, tree: TreeConnect) -> None:
        self.tree = tree

    def can_open(self, paths: Sequence[str]) -> list[bool]:
        """Return for each path whether this person may open it for reading."""
        connection, session, tree = self.tree.session.connection, self.tree.session.session_id, self.tree
        opened: list[bool] = []
        for start in range(0, len(paths), 16):
            sent = []
            for path in paths[start : start + 16]:
                handle = Open(tree, path.replace("/", "\\"))
                create, _ = handle.create(*_opening(READ_DATA, CreateDisposition.FILE_OPEN), send=False)
                close, _ = handle.close(send=False)
                sent.append(connection.send_compound([create, close], session, tree.tree_connect_id, True))
            opened.extend(_succeeds(connection, requests) for requests in sent)
        return opened

    def write(self, path: str, content: bytes = b"") -> None:
        with self.opened(path, 0x2 | 0x100000, CreateDisposition.FILE_OVERWRITE_IF) as handle:
            if content:
                handle.write(content)

    def make_folder(self, path: str) -> None:
        options = CreateOptions.FILE_DIRECTORY_FILE
        with self.opened(path, 0x1 | 0x100000, CreateDisposition.FILE_OPEN_IF, options):
            pass

    def protect(
        self, path: str, aces: Iterable[Ace] | None, *, owner: str = "", protected: bool = True
    ) -> None:
        """Replace the access control list; None stores none at all."""
        message = SMB2SetInfoRequest()
        message["info_type"] = _SECURITY_INFO
        message["additional_information"] = _DACL | (_OWNER if owner else 0)
        message["buffer"] = write_descriptor(aces, owner, protected=protected)
        with self.opened(path, 0x00040000 | 0x00080000 | 0x00020000, CreateDisposition.FILE_OPEN) as handle:
            message["file_id"] = handle.file_id
            connection, session = self.tree.session.connection, self.tree.session.session_id
            connection.receive(connection.send(message, session, self.tree.tree_connect_id))

    @contextmanager
    def opened(
        self, path: str, access: int, disposition: int, options: int = 0, sharing: int = ALL_SHARING
    ) -> Iterator[Open]:
        handle = Open(self.tree, path.replace("/", "\\"))
        handle.create(*_opening(access, disposition, options, sharing))
        try:
            yield handle
        finally:
            handle.close()


def write_descriptor(aces: Iterable[Ace] | None, owner: str = "", *, protected: bool = True) -> bytes:
    """Write a security descriptor in its binary form, with the entries in exactly this order."""
    control = 0x8000 | 0x0004 | (0x1000 if protected else 0x0400)
    owner_sid = write_sid(owner) if owner else b""
    acl = b""
    if aces is not None:
        entries = b"".join(_write_ace(ace) for ace in aces)
        count = sum(1 for _ in _sizes(entries))
        acl = struct.pack("<BBHHH", 2, 0, 8 + len(entries), count, 0) + entries
    dacl = 20 + len(owner_sid) if aces is not None else 0
    head = struct.pack("<BBHIIII", 1, 0, control, 20 if owner else 0, 0, 0, dacl)
    return head + owner_sid + acl


def _write_ace(ace: Ace) -> bytes:
    sid = write_sid(ace.sid)
    return struct.pack("<BBHI", ace.kind, ace.flags, 8 + len(sid), ace.mask) + sid


def _sizes(entries: bytes) -> Iterator[int]:
    while entries:
        [size] = struct.unpack_from("<H", entries, 2)
        yield size
        entries = entries[size:]


def _opening(access: int, disposition: int, options: int = 0, sharing: int = ALL_SHARING) -> tuple[int, ...]:
    return (ImpersonationLevel.Impersonation, access, 0, sharing, disposition, options)


def _succeeds(connection: SmbConnection, requests: Sequence[Any]) -> bool:
    results = []
    for request in requests:
        try:
            connection.receive(request, timeout=20)
        except SMBResponseException as error:
            results.append(error.status)
        else:
            results.append(0)
    assert results[0] in {0, 0xC0000022}, hex(results[0])
    return results[0] == 0
