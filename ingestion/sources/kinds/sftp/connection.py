"""Connection to an SSH server whose key is known: files by SFTP, and programs that report permissions."""

import base64
import hashlib
import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import paramiko

from cairn.messages import CodedMessage
from ingestion.sources.encryption import find_addresses
from ingestion.sources.kinds.sftp.options import SftpOptions
from ingestion.sources.protocol import SourceRefused, SourceUnavailable, describe_error

TIMEOUT_SECONDS: Final = 30.0
MAX_OUTPUT_BYTES: Final = 32_000_000
_KEY_TYPES: Final = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_LOST: Final = (paramiko.SSHException, EOFError, TimeoutError, ConnectionError)
"""Errors of a connection that broke off."""


def describe_loss(server: str, error: Exception) -> SourceUnavailable:
    """Return the error for a connection that broke off."""
    return SourceUnavailable(CodedMessage("source_interrupted", server=server, reason=describe_error(error)))


class SshConnection:
    """A connection to a server, signed in."""

    def __init__(self, transport: paramiko.Transport, server: str) -> None:
        self.server = server
        self._transport = transport
        sftp = paramiko.SFTPClient.from_transport(transport)
        if sftp is None or (channel := sftp.get_channel()) is None:
            raise SourceRefused(CodedMessage("sftp_not_offered", server=server))
        channel.settimeout(TIMEOUT_SECONDS)
        self.sftp = sftp

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Raise SourceUnavailable if the connection broke off. Errors of single files stay as they are."""
        try:
            yield
        except _LOST as error:
            raise describe_loss(self.server, error) from error
        except OSError as error:
            if self._transport.is_active():
                raise
            raise describe_loss(self.server, error) from error

    def run(self, command: str, sent: bytes = b"") -> tuple[int, bytes]:
        """Run a program on the server with this input. Return its exit status and what it writes.

        The status is -1 if it can't be run, or didn't end.
        """
        try:
            channel = self._transport.open_session(timeout=TIMEOUT_SECONDS)
        except paramiko.ChannelException:
            return -1, b""
        with channel:
            channel.settimeout(TIMEOUT_SECONDS)
            try:
                channel.exec_command(command)
            except paramiko.SSHException:
                return -1, b""
            channel.sendall(sent)
            channel.shutdown_write()
            output = self._read(channel)
            ended = channel.status_event.wait(TIMEOUT_SECONDS)
            return channel.exit_status if ended else -1, output

    def _read(self, channel: paramiko.Channel) -> bytes:
        output = bytearray()
        while piece := channel.recv(1 << 16):
            output += piece
            if len(output) > MAX_OUTPUT_BYTES:
                raise SourceUnavailable(CodedMessage("source_answer_endless", server=self.server))
        return bytes(output)


@contextmanager
def open_connection(options: SftpOptions) -> Iterator[SshConnection]:
    """Connect and sign in. Raises SourceRefused before that if the server's key isn't the known one."""
    with _open_socket(options) as sock:
        try:
            transport = paramiko.Transport(sock)
            transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = TIMEOUT_SECONDS
            connection = _start(transport, options)
        except _LOST as error:
            raise describe_loss(options.host, error) from error
        try:
            yield connection
        finally:
            transport.close()


def _start(transport: paramiko.Transport, options: SftpOptions) -> SshConnection:
    try:
        transport.start_client(timeout=TIMEOUT_SECONDS)
        _require_host_key(options, transport.get_remote_server_key())
        _sign_in(transport, options)
        transport.set_keepalive(30)
        return SshConnection(transport, options.host)
    except BaseException:
        transport.close()
        raise


def _open_socket(options: SftpOptions) -> socket.socket:
    failure: OSError = OSError(options.host)
    for address in find_addresses(options.host, options.port, encrypted=True):
        try:
            return socket.create_connection((str(address), options.port), TIMEOUT_SECONDS)
        except OSError as error:
            failure = error
    message = CodedMessage("source_away", server=options.host, reason=describe_error(failure))
    raise SourceUnavailable(message) from failure


def _require_host_key(options: SftpOptions, key: paramiko.PKey) -> None:
    found = fingerprint_of(key)
    if not options.host_key:
        raise SourceRefused(CodedMessage("sftp_host_key_new", server=options.host, fingerprint=found))
    if options.host_key != found:
        raise SourceRefused(CodedMessage("sftp_host_key_changed", server=options.host, fingerprint=found))


def fingerprint_of(key: paramiko.PKey) -> str:
    """Return the fingerprint as ssh-keygen shows it."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _sign_in(transport: paramiko.Transport, options: SftpOptions) -> None:
    text, password = options.private_key.get_secret_value(), options.password.get_secret_value()
    try:
        if text:
            transport.auth_publickey(options.username, _read_key(text, password))
        else:
            transport.auth_password(options.username, password)
    except paramiko.AuthenticationException as error:
        raise SourceRefused(CodedMessage("source_sign_in_refused", server=options.host)) from error


def _read_key(text: str, password: str) -> paramiko.PKey:
    for kind in _KEY_TYPES:
        try:
            return kind.from_private_key(io.StringIO(f"{text}\n"), password or None)
        except (paramiko.SSHException, ValueError, TypeError):
            continue
    raise SourceRefused(CodedMessage("sftp_key_invalid"))
