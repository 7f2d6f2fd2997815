"""System calls that the kernel refuses, whatever code makes them: sockets, other processes, new processes."""

import contextlib
import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000

_LOAD: Final = 0x20
_IF_EQUAL: Final = 0x15
_IF_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # where they lie in what the kernel shows a filter

_CLONE_THREAD: Final = 0x10000
_LAST_OF_X32: Final = 0x40000000


@dataclass(frozen=True, slots=True)
class _Machine:
    """Numbers of system calls. `forks` only ever make processes.

    `outside`: calls that reach more than files, by sockets, other processes' memory or means of the kernel.
    Both machines list them in the same order.
    """

    architecture: int
    socket: int
    clone: int
    access: int
    access_mode_at: int
    forks: tuple[int, ...]
    outside: tuple[int, ...]
    clone3: int = 435
    io_uring_setup: int = 425


_EVERYWHERE: Final = (434, 438)  # pidfd_open, pidfd_getfd
_MACHINES: Final = {
    "x86_64": _Machine(
        0xC000003E,
        socket=41,
        clone=56,
        access=21,
        access_mode_at=1,
        forks=(57, 58),
        outside=(
            *(42, 44, 46, 307),  # connect, sendto, sendmsg, sendmmsg
            *(101, 310, 311, 312),  # ptrace, process_vm_readv, process_vm_writev, kcmp
            *(248, 249, 250),  # add_key, request_key, keyctl
            *(298, 321, 323),  # perf_event_open, bpf, userfaultfd
            *(155, 165, 166, 304, 308),  # pivot_root, mount, umount2, open_by_handle_at, setns
            *_EVERYWHERE,
        ),
    ),
    "aarch64": _Machine(
        0xC00000B7,
        socket=198,
        clone=220,
        access=48,
        access_mode_at=2,
        forks=(),
        outside=(
            *(203, 206, 211, 269),
            *(117, 270, 271, 272),
            *(217, 218, 219),
            *(241, 280, 282),
            *(41, 40, 39, 265, 268),
            *_EVERYWHERE,
        ),
    ),
}

Instruction = tuple[int, int, int, int]
"""Operation, steps to jump if so, if not, operand."""


def refuse_outside() -> bool:
    """Neither sockets nor other processes can be reached. False if this kernel cannot refuse it.

    LibreOffice ends if it cannot make a UNIX socket, so it may. That socket can neither connect nor send to
    an address. A connection that is open already can be read and written, since those are calls on files.
    """
    machine = _MACHINES.get(platform.machine())
    return machine is not None and _install(_outside_filter(machine))


def refuse_processes() -> bool:
    """Only threads remain. False where this cannot be had."""
    machine = _MACHINES.get(platform.machine())
    return machine is not None and _install(_process_filter(machine))


def deny_being_writable() -> bool:
    """To whoever asks, no place may be written to: LibreOffice then leaves /tmp alone. It may still write."""
    machine = _MACHINES.get(platform.machine())
    return machine is not None and _install(_access_filter(machine))


def _access_filter(machine: _Machine) -> list[Instruction]:
    return [
        *_for_this(machine),
        (_IF_EQUAL, 0, 3, machine.access),
        (_LOAD, 0, 0, _FIRST_ARGUMENT + 8 * machine.access_mode_at),
        (_IF_EQUAL, 0, 1, os.W_OK),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _outside_filter(machine: _Machine) -> list[Instruction]:
    return [
        *_for_this(machine),
        *_refuse(machine.io_uring_setup, errno.ENOSYS),
        *(step for number in machine.outside for step in _refuse(number, errno.EACCES)),
        (_IF_EQUAL, 0, 3, machine.socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 1, 0, socket.AF_UNIX),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _process_filter(machine: _Machine) -> list[Instruction]:
    """`clone3` hides its flags from filters: told that it is not there, libraries use `clone`."""
    return [
        *_for_this(machine),
        *_refuse(machine.clone3, errno.ENOSYS),
        *(step for number in machine.forks for step in _refuse(number, errno.EPERM)),
        (_IF_EQUAL, 0, 3, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _for_this(machine: _Machine) -> list[Instruction]:
    """Calls by another machine's numbers are refused; the number is loaded for what follows."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, machine.architecture),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_ANY_BIT, 0, 1, _LAST_OF_X32),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]


def _refuse(number: int, error: int) -> list[Instruction]:
    return [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def _install(steps: Sequence[Instruction]) -> bool:
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(steps), ctypes.cast(buffer, ctypes.c_void_p))
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return int(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)) == 0
    return False
