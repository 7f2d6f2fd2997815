"""Dovecot, as a process of this test run: public mailboxes, access lists, and people in groups."""

import os
import pwd
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest
from imapclient import IMAPClient, imap_utf7

from tests.backends import UNPRIVILEGED, Process, free_port, require
from tests.directory import make_certificate

ACCOUNT: Final = "cairn"
PREFIX: Final = "Public/"


class Dovecot(Process):
    """`people` are the groups of each person. Plain and STARTTLS on `port`, TLS on `tls_port`."""

    name = "dovecot"

    def __init__(self, people: Mapping[str, Sequence[str]]) -> None:
        self._program = require("dovecot-imapd", "dovecot")
        if os.geteuid() != 0:
            pytest.skip("dovecot is started as root, so that it can change to another user")
        super().__init__()
        self.people = people
        self.tls_port = free_port()
        self.ca_file = self.folder / "certificate.pem"
        self.mail = self.folder / "mail"
        self._count = 0

    def prepare(self) -> None:
        if self.mail.exists():
            return
        self.folder.chmod(0o755)
        for name in ("run", "state", "mail/home", "mail/public"):
            (self.folder / name).mkdir(parents=True)
        make_certificate(self.ca_file, self.folder / "key.pem")
        rows = [f"{name}:{{PLAIN}}{password_of(name)}::::::" for name in (ACCOUNT, *self.people)]
        for number, groups in enumerate(self.people.values(), 1):
            rows[number] += f"userdb_acl_groups={','.join(groups)}" if groups else ""
        (self.folder / "users").write_text("".join(f"{row}\n" for row in rows))
        (self.folder / "dovecot.conf").write_text(self._configuration())
        self._own()

    def _configuration(self) -> str:
        folder = self.folder
        return f"""\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
protocols {{
  imap = yes
}}
listen = 127.0.0.1
ssl = yes
ssl_server_cert_file = {self.ca_file}
ssl_server_key_file = {folder}/key.pem
auth_allow_cleartext = yes
auth_failure_delay = 0
mail_uid = {UNPRIVILEGED}
mail_gid = {pwd.getpwnam(UNPRIVILEGED).pw_gid}
mail_home = {self.mail}/home/%{{user}}
mail_driver = maildir
mail_path = ~/Maildir
mail_plugins {{
  acl = yes
}}
protocol imap {{
  mail_plugins {{
    imap_acl = yes
  }}
}}
acl_driver = vfile
acl_cache_ttl = 0
namespace inbox {{
  inbox = yes
  separator = /
}}
namespace public {{
  type = public
  separator = /
  prefix = {PREFIX}
  mail_path = {self.mail}/public
  mailbox_list_layout = fs
  subscriptions = no
}}
service imap-login {{
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = {self.tls_port}
  }}
}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
}}
userdb passwd-file {{
  passwd_file_path = {folder}/users
}}
"""

    def command(self) -> Sequence[str]:
        return [self._program, "-F", "-c", str(self.folder / "dovecot.conf")]

    def _own(self) -> None:
        owner = pwd.getpwnam(UNPRIVILEGED)
        for path in (self.mail, *self.mail.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def set_access(self, mailbox: str, lines: Iterable[str], own: str = "lra") -> None:
        """Create a public mailbox if needed, and set its access list. `own` are rights of the account, which
        loses none that are taken away from everyone."""
        folder = self._folder_of(mailbox)
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        given = [f"user={ACCOUNT} {own}", f"-user={ACCOUNT} p"]
        (folder / "dovecot-acl").write_text("".join(f"{line}\n" for line in [*given, *lines]))
        self._own()

    def deliver(self, mailbox: str, message: bytes) -> None:
        """Put a message into a mailbox, as a delivery agent does."""
        self._count += 1
        (self._folder_of(mailbox) / "new" / f"{time.time()}.{self._count}.test").write_bytes(message)
        self._own()

    def _folder_of(self, mailbox: str) -> Path:
        return self.mail / "public" / imap_utf7.encode(mailbox).decode()

    def delete(self, mailbox: str) -> None:
        """Delete a mailbox with everything in it."""
        shutil.rmtree(self._folder_of(mailbox))

    def client(self, name: str) -> IMAPClient:
        """A client that is signed in as this person."""
        client = IMAPClient("127.0.0.1", self.port, ssl=False, timeout=20)
        client.login(name, password_of(name))
        return client

    def readable(self, name: str, mailboxes: Iterable[str]) -> set[str]:
        """The mailboxes that the server lets this person select and read."""
        found = set()
        with self.client(name) as client:
            for mailbox in mailboxes:
                try:
                    client.select_folder(f"{PREFIX}{mailbox}", readonly=True)
                    client.fetch(client.search(), ["BODY.PEEK[]"])
                except client.Error as error:
                    if "NONEXISTENT" not in str(error) and "NOPERM" not in str(error):
                        raise
                else:
                    found.add(mailbox)
        return found


def password_of(name: str) -> str:
    return f"password-of-{name}"
