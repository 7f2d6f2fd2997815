"""System call filters that refuse calls which parsers do not need, including those from native code.

They cover sockets, other processes, the kernel and file metadata, which Landlock does not cover.
"""

import contextlib
import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Iterable, Sequence
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
_CLONE_OUTSIDE: Final = 0x7E028000  # new namespaces, and CLONE_PARENT, which makes a child of the parent
_LAST_OF_X32: Final = 0x40000000

# the calls' numbers on x86-64 and on ARM (None: it has no such call)
_Numbers = dict[str, tuple[int | None, int | None]]
_CONNECTIONS: Final[_Numbers] = {
    "connect": (42, 203),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
}
_OTHER_PROCESSES: Final[_Numbers] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "setpgid": (109, 154),  # with its group, a parser process ends all that it started
    "setsid": (112, 157),
}
_KERNEL: Final[_Numbers] = {
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
}
_NAMESPACES: Final[_Numbers] = {
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
}
_SHARED_MEMORY_AND_QUEUES: Final[_Numbers] = {
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
_METADATA: Final[_Numbers] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "truncate": (76, 45),
}
"""LibreOffice goes on without changing its profile's mode. Landlock covers `truncate` from Linux 6.2 on."""
_ON_OWN_PROCESS: Final[dict[str, tuple[int, int]]] = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
}
"""The first argument says which process; for most calls, 0 stands for the own one."""
_ON_OWN_GROUP: Final = frozenset(("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"))
"""For these, 0 stands for a group of processes, or for none."""
_COMMANDS: Final[dict[str, tuple[tuple[int, int], tuple[int, ...]]]] = {
    "fcntl": ((72, 25), (8, 10, 15, 1024)),  # F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE
    "ioctl": ((16, 29), (0x8901, 0x8902, 0x5412, 0x40086602, 0x401C5820)),
}
"""They send signals to others when a file is ready, hold others up by a lease, or type into a terminal.

For ioctl these are FIOSETOWN, SIOCSPGRP, TIOCSTI, FS_IOC_SETFLAGS and FS_IOC_FSSETXATTR.
"""


@dataclass(frozen=True, slots=True)
class _Machine:
    """System call numbers of an architecture. `column`: its column in the tables above."""

    architecture: int
    column: int
    socket: int
    clone: int
    access: int
    access_mode_at: int
    forks: tuple[int, ...]
    """Calls that only ever make processes."""
    clone3: int = 435
    io_uring_setup: int = 425

    def numbers(self, *tables: _Numbers) -> list[int]:
        found = [pair[self.column] for table in tables for pair in table.values()]
        return [number for number in found if number is not None]


_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, 0, socket=41, clone=56, access=21, access_mode_at=1, forks=(57, 58)),
    "aarch64": _Machine(0xC00000B7, 1, socket=198, clone=220, access=48, access_mode_at=2, forks=()),
}

Instruction = tuple[int, int, int, int]
"""Operation, steps to jump if so, if not, operand."""


def refuse_outside() -> bool:
    """Deny this process and its children sockets, other processes and file metadata.

    Returns False if the kernel cannot do that.

    LibreOffice ends if it cannot make a UNIX socket, so it may. That socket can neither connect nor send to
    an address. A connection that is open already can be read and written, since those are calls on files.

    A filter knows only fixed ids: this process may signal itself, and what it starts may signal nobody.
    """
    machine = _MACHINES.get(platform.machine())
    return machine is not None and _install(_outside_filter(machine))


def refuse_processes() -> bool:
    """Allow threads only, and protect the parent process. Returns False if unsupported."""
    machine = _MACHINES.get(platform.machine())
    return machine is not None and _install(_process_filter(machine))


def deny_being_writable() -> bool:
    """Report every path as not writable, so that LibreOffice avoids /tmp. Writing is still possible."""
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
    """Build the filter. Libraries work without `io_uring` and `clone3` if these are reported missing."""
    no_access = machine.numbers(_CONNECTIONS)
    not_permitted = machine.numbers(
        _OTHER_PROCESSES, _KERNEL, _NAMESPACES, _SHARED_MEMORY_AND_QUEUES, _METADATA
    )
    return [
        *_for_this(machine),
        *_refuse_all((machine.io_uring_setup, machine.clone3), errno.ENOSYS),
        *_refuse_all(no_access, errno.EACCES),
        *_refuse_all(not_permitted, errno.EPERM),
        *_on_own_process_only(machine),
        *_no_commands(machine),
        (_IF_EQUAL, 0, 4, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_ANY_BIT, 0, 1, _CLONE_OUTSIDE),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_IF_EQUAL, 0, 3, machine.socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 1, 0, socket.AF_UNIX),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _process_filter(machine: _Machine) -> list[Instruction]:
    """Build the filter. `clone3` hides its flags, so it is reported missing and libraries use `clone`."""
    return [
        *_for_this(machine),
        *_refuse_all((machine.clone3,), errno.ENOSYS),
        *_refuse_all(machine.forks, errno.EPERM),
        *_on_own_process_only(machine),
        (_IF_EQUAL, 0, 3, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _for_this(machine: _Machine) -> list[Instruction]:
    """Refuse calls with another architecture's numbers, and load the number for the next instructions."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, machine.architecture),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_ANY_BIT, 0, 1, _LAST_OF_X32),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]


def _refuse_all(numbers: Iterable[int], error: int) -> list[Instruction]:
    return [
        step for number in numbers for step in ((_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error))
    ]


def _on_own_process_only(machine: _Machine) -> list[Instruction]:
    """Compare the lower half of the argument, as the kernel ignores the upper half of an id."""
    steps: list[Instruction] = []
    for name, numbers in _ON_OWN_PROCESS.items():
        own = os.getpid()
        zero = own if name in _ON_OWN_GROUP else 0
        steps += [
            (_IF_EQUAL, 0, 5, numbers[machine.column]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_IF_EQUAL, 2, 0, own),
            (_IF_EQUAL, 1, 0, zero),
            (_RETURN, 0, 0, _ERRNO | errno.EPERM),
            (_RETURN, 0, 0, _ALLOW),
        ]
    return steps


def _no_commands(machine: _Machine) -> list[Instruction]:
    steps: list[Instruction] = []
    for numbers, commands in _COMMANDS.values():
        refusals = _refuse_all(commands, errno.EPERM)
        steps += [
            (_IF_EQUAL, 0, len(refusals) + 2, numbers[machine.column]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT + 8),
            *refusals,
            (_RETURN, 0, 0, _ALLOW),
        ]
    return steps


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
