"""A connection to an IMAP server: to a checked address, and with limits on every response."""

import imaplib
import io
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError, IMAPClientError, LoginError

from cairn.http.ssrf_guard import Address
from cairn.messages import CodedMessage
from ingestion.sources.encryption import find_addresses
from ingestion.sources.kinds.imap.options import ImapOptions, Security
from ingestion.sources.protocol import SourceRefused, SourceUnavailable, describe_error

TIMEOUT_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 16_000_000
MAX_ANSWER_SECONDS: Final = 120.0


class ResponseLimitExceeded(OSError):
    """The response is too large or takes too long."""


class Connection(IMAPClient):  # type: ignore[misc]  # IMAPClient has no types
    """A signed-in client. Each command must be called within `limit_response`."""

    def __init__(self, options: ImapOptions, addresses: Sequence[Address]) -> None:
        self._addresses, self._options = addresses, options
        super().__init__(
            options.host,
            options.port,
            ssl=options.security == Security.TLS,
            ssl_context=ssl.create_default_context(),
            timeout=SocketTimeout(TIMEOUT_SECONDS, TIMEOUT_SECONDS),
        )

    def _create_IMAP4(self) -> "_Protocol":  # noqa: N802  # a name of IMAPClient
        return _Protocol(self.host, self.port, self._addresses, self.ssl_context if self.ssl else None)

    @contextmanager
    def limit_response(self) -> Iterator[None]:
        """Limit the size and time of responses to commands in this block. Raises SourceUnavailable or
        SourceRefused."""
        self._imap.bounds.start()
        with translate_errors(self.host):
            yield


class _Protocol(imaplib.IMAP4):
    def __init__(
        self, host: str, port: int, addresses: Sequence[Address], context: ssl.SSLContext | None
    ) -> None:
        self._addresses, self._context = addresses, context
        self.bounds = _Bounds()
        self._reader: io.BufferedReader | None = None
        self._read_socket: socket.socket | None = None
        super().__init__(host, port, timeout=TIMEOUT_SECONDS)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        connected = _connect(self._addresses, self.port, timeout or TIMEOUT_SECONDS)
        if self._context is None:
            return connected
        try:
            return self._context.wrap_socket(connected, server_hostname=self.host)
        except OSError:
            connected.close()
            raise

    def read(self, size: int) -> bytes:
        """Read a literal. A size over the limit is refused before anything is read."""
        if size > MAX_ANSWER_BYTES:
            raise ResponseLimitExceeded
        return self._open_reader().read(size)

    def readline(self) -> bytes:
        """Read a line, of bounded length."""
        line = self._open_reader().readline(imaplib._MAXLINE + 1)  # type: ignore[attr-defined]
        if len(line) > imaplib._MAXLINE:  # type: ignore[attr-defined]
            raise ResponseLimitExceeded
        return line

    def _open_reader(self) -> io.BufferedReader:
        """Return a reader of the current socket. STARTTLS replaces the socket, and anything buffered before
        is dropped."""
        if self._reader is None or self._read_socket is not self.sock:
            self._read_socket = self.sock
            self._reader = io.BufferedReader(_BoundedSocket(self.sock, self.bounds))
        return self._reader


class _Bounds:
    """Bytes and seconds left for the current response."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._bytes, self._end = MAX_ANSWER_BYTES, time.monotonic() + MAX_ANSWER_SECONDS

    def take(self, count: int) -> None:
        self._bytes -= count
        if self._bytes < 0 or time.monotonic() > self._end:
            raise ResponseLimitExceeded


class _BoundedSocket(io.RawIOBase):
    def __init__(self, connected: socket.socket, bounds: _Bounds) -> None:
        self._socket, self._bounds = connected, bounds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._socket.recv_into(buffer)
        self._bounds.take(count)
        return count


@contextmanager
def open_connection(options: ImapOptions) -> Iterator[Connection]:
    """Connect and sign in. Raises SourceUnavailable or SourceRefused."""
    encrypted = options.security != Security.NONE
    addresses = find_addresses(options.host, options.port, encrypted=encrypted)
    with translate_errors(options.host):
        connection = Connection(options, addresses)
    try:
        with connection.limit_response():
            if options.security == Security.STARTTLS:
                connection.starttls(ssl.create_default_context())
        with connection.limit_response():
            connection.login(options.username, options.password.get_secret_value())
        yield connection
    finally:
        _close(connection)


def _connect(addresses: Sequence[Address], port: int, timeout: float) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((str(address), port), timeout)
        except OSError as error:
            failure = error
    raise failure


def _close(connection: Connection) -> None:
    """Close without LOGOUT: a broken server might never answer it."""
    with suppress(OSError, IMAPClientError):
        connection.shutdown()


@contextmanager
def translate_errors(server: str) -> Iterator[None]:
    """Translate errors to SourceUnavailable and SourceRefused."""
    try:
        yield
    except LoginError as error:
        raise SourceRefused(CodedMessage("source_sign_in_refused", server=server)) from error
    except ResponseLimitExceeded as error:
        raise SourceUnavailable(CodedMessage("source_answer_endless", server=server)) from error
    except (ssl.SSLError, CapabilityError) as error:
        message = CodedMessage("source_away", server=server, reason=describe_error(error))
        raise SourceRefused(message) from error
    except OSError as error:
        message = CodedMessage("source_away", server=server, reason=describe_error(error))
        raise SourceUnavailable(message) from error
    except imaplib.IMAP4.abort as error:
        raise SourceUnavailable(
            CodedMessage("source_interrupted", server=server, reason=describe_error(error))
        ) from error
    except (
        imaplib.IMAP4.error,
        ValueError,
        AssertionError,
        LookupError,
        TypeError,
    ) as error:  # of its parser
        message = CodedMessage("source_answer_invalid", server=server, reason=str(error)[:300])
        raise SourceUnavailable(message) from error
