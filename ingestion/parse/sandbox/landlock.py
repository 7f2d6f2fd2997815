"""Landlock (Linux 5.13 and later): the kernel restricts a process and its programs to a few folders."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# the same numbers on every architecture
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_TRUNCATE: Final = 1 << 14
_ALL_BY_VERSION: Final = ((5, (1 << 16) - 1), (3, (1 << 15) - 1), (2, (1 << 14) - 1), (1, (1 << 13) - 1))
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_NETWORK_FROM: Final = 4
_TCP: Final = 0b11
_SCOPES_FROM: Final = 6
_SCOPES: Final = 0b11  # abstract sockets of others, signals to others


@dataclass(frozen=True, slots=True)
class Reach:
    """Accessible paths. Folders include their contents; missing paths are ignored."""

    readable: tuple[Path, ...] = ()
    listable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    executable: tuple[Path, ...] = ()

    def rules(self) -> Iterator[tuple[Path, int]]:
        yield from ((path, _READ_FILE | _READ_DIR) for path in self.readable)
        yield from ((path, _READ_DIR) for path in self.listable)
        yield from ((path, ~_EXECUTE) for path in self.writable)
        yield from ((path, _READ_FILE | _EXECUTE) for path in self.executable)


def version() -> int:
    """Return the Landlock version, or 0 if the kernel has none or it is disabled."""
    try:
        return max(0, _syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION))
    except (OSError, AttributeError):
        return 0


def restrict(reach: Reach) -> bool:
    """Restrict this thread and everything it starts, permanently. Returns False if unsupported.

    TCP, and signals to processes outside, are denied as well if the kernel supports it.
    """
    known = version()
    if not known:
        return False
    handled = next(rights for since, rights in _ALL_BY_VERSION if known >= since)
    with _ruleset(known, handled) as ruleset:
        for path, rights in reach.rules():
            _allow(ruleset, path, rights & handled)
        _syscall(_RESTRICT_SELF, ruleset, 0)
    return True


@contextmanager
def _ruleset(known: int, handled: int) -> Iterator[int]:
    attributes = struct.pack("=Q", handled)
    if known >= _NETWORK_FROM:
        attributes += struct.pack("=Q", _TCP)
    if known >= _SCOPES_FROM:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = _syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        yield ruleset
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rights if path.is_dir() else rights & _OF_FILES
        _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", allowed, descriptor), 0)
    finally:
        os.close(descriptor)


def _syscall(*arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(*arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
