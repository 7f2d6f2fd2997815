"""An SMTP server in a thread: it accepts, refuses, hangs, or sends a byte now and then."""

import base64
import socketserver
import ssl
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Final

from tests.threaded_server import ThreadedServer

HANGS: Final = "hangs"
DRIPS: Final = "drips"
BREAKS: Final = "breaks"


class MailServer(ThreadedServer):
    """`messages`: accepted so far. `behaviour`: one of the constants, or "" for a server that works.

    `account`: name and password that it requires. `certificate`: files with certificate and key; it then
    offers StartTLS, or speaks TLS from the start with `implicit_tls`. `refused`: recipients.
    """

    def __init__(
        self,
        *,
        behaviour: str = "",
        account: tuple[str, str] | None = None,
        certificate: tuple[Path, Path] | None = None,
        implicit_tls: bool = False,
        refused: tuple[str, ...] = (),
    ) -> None:
        self.behaviour, self.account, self.refused = behaviour, account, refused
        self.implicit_tls = implicit_tls
        self.messages: list[EmailMessage] = []
        self.connections = 0
        self.ended = threading.Event()
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self._server = _Server(("127.0.0.1", 0), _Session)
        self._server.mail = self
        super().__init__(self._server)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        super().__exit__(kind, error, trace)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    mail: MailServer


class _Session(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        mail = self.server.mail
        mail.connections += 1
        try:
            if mail.behaviour == HANGS:
                mail.ended.wait()
                return
            if mail.behaviour == DRIPS:
                while not mail.ended.wait(0.05):
                    self.wfile.write(b"2")
                return
            if mail.context and mail.implicit_tls:
                self._encrypt()
            self._converse()
        except OSError:
            pass  # the client has gone
        finally:
            self.connection.close()

    def _encrypt(self) -> None:
        assert self.server.mail.context
        self.connection = self.server.mail.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.encrypted = True

    def _converse(self) -> None:
        self._signed_in = self.server.mail.account is None
        self._reply("220 ready")
        while line := self.rfile.readline():
            command, _, rest = line.decode().strip().partition(" ")
            if command.upper() == "QUIT":
                self._reply("221 bye")
                return
            getattr(self, f"_{command.lower()}", self._unknown)(rest)

    def _ehlo(self, _rest: str) -> None:
        mail = self.server.mail
        offers = ["STARTTLS"] if mail.context and not getattr(self, "encrypted", False) else []
        offers += ["AUTH PLAIN"] if mail.account else []
        lines = ["localhost", *offers]
        for line in lines[:-1]:
            self._reply(f"250-{line}")
        self._reply(f"250 {lines[-1]}")

    def _starttls(self, _rest: str) -> None:
        self._reply("220 go ahead")
        self._encrypt()

    def _auth(self, rest: str) -> None:
        _, name, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        self._signed_in = (name, password) == self.server.mail.account
        self._reply("235 welcome" if self._signed_in else "535 wrong password")

    def _mail(self, _rest: str) -> None:
        self._reply("250 ok" if self._signed_in else "530 sign in first")

    def _rcpt(self, rest: str) -> None:
        refused = any(address in rest for address in self.server.mail.refused)
        self._reply("550 no such mailbox" if refused else "250 ok")

    def _rset(self, _rest: str) -> None:
        self._reply("250 ok")

    def _data(self, _rest: str) -> None:
        self._reply("354 go ahead")
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b"."))
        if self.server.mail.behaviour == BREAKS:
            self._reply("451 out of disk space")
            return
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        self.server.mail.messages.append(message)
        self._reply("250 accepted")

    def _unknown(self, _rest: str) -> None:
        self._reply("502 unknown command")

    def _reply(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())
