"""Sign in to a file server and connect to its share."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from uuid import uuid4

from smbprotocol.exceptions import SMBAuthenticationError, SMBException, SMBResponseException
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from cairn.messages import CodedMessage
from ingestion.sources.encryption import find_addresses
from ingestion.sources.kinds.smb import statuses
from ingestion.sources.kinds.smb.client import TIMEOUT_SECONDS, PatientConnection
from ingestion.sources.kinds.smb.options import SmbOptions
from ingestion.sources.protocol import SourceRefused, SourceUnavailable, describe_error

PIPES: Final = "IPC$"


@contextmanager
def open_session(options: SmbOptions) -> Iterator[Session]:
    """Connect to one of the server's addresses and sign in. Raises SourceUnavailable or SourceRefused."""
    connection = _connect(options)
    try:
        yield _sign_in(connection, options)
    finally:
        with suppress(SMBException, OSError, ValueError, struct.error):
            connection.disconnect(timeout=TIMEOUT_SECONDS)
        connection.transport.close()


def open_share(session: Session, options: SmbOptions, share: str) -> TreeConnect:
    """Connect to a share. Raises SourceUnavailable or SourceRefused."""
    tree = TreeConnect(session, rf"\\{options.server}\{share}")
    try:
        tree.connect()
    except SMBResponseException as error:
        if error.status == statuses.ACCESS_DENIED:
            raise SourceRefused(CodedMessage("source_folder_refused", name=share)) from error
        if error.status == statuses.BAD_NETWORK_NAME:
            raise SourceRefused(
                CodedMessage("source_folder_missing", server=options.server, name=share)
            ) from error
        raise _interruption(options, error) from error
    except (SMBException, OSError) as error:
        raise _interruption(options, error) from error
    tree.is_dfs_share = False  # paths are those of this server, not of a namespace
    return tree


def _connect(options: SmbOptions) -> PatientConnection:
    failure: Exception = OSError(options.server)
    for address in find_addresses(options.server, options.port, encrypted=options.encrypt):
        connection = PatientConnection(uuid4(), str(address), options.port, require_signing=True)
        try:
            connection.connect(timeout=TIMEOUT_SECONDS)
        except (SMBException, OSError, ValueError, struct.error) as error:
            failure = error
            if connection.transport is not None:
                connection.transport.close()
        else:
            return connection
    reason = describe_error(failure)
    raise SourceUnavailable(CodedMessage("source_away", server=options.server, reason=reason)) from failure


def _sign_in(connection: PatientConnection, options: SmbOptions) -> Session:
    if options.encrypt and not connection.supports_encryption:
        raise SourceRefused(CodedMessage("smb_encryption_missing", server=options.server))
    session = Session(
        connection,
        options.username,
        options.password.get_secret_value(),
        require_encryption=options.encrypt,
        hostname_override=options.server,
    )
    try:
        session.connect()
    except SMBResponseException as error:
        if error.status not in statuses.LOGON_REFUSALS:
            raise _interruption(options, error) from error
        raise SourceRefused(CodedMessage("source_sign_in_refused", server=options.server)) from error
    except (SMBAuthenticationError, ValueError) as error:
        raise SourceRefused(CodedMessage("source_sign_in_refused", server=options.server)) from error
    except (SMBException, OSError) as error:
        raise _interruption(options, error) from error
    return session


def _interruption(options: SmbOptions, error: Exception) -> SourceUnavailable:
    reason = f"0x{error.status:08X}" if isinstance(error, SMBResponseException) else str(error)
    return SourceUnavailable(CodedMessage("source_interrupted", server=options.server, reason=reason))
