"""Attempts of code that took over a parser process, by system calls of its own.

As a program: `python -c SOURCE ATTEMPT TARGET PID`, which prints what was got, or nothing.
"""

import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.sendto.argtypes = [
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
]
PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def unix_address(target):
    name = b"\0" + target[1:].encode() if target.startswith("@") else target.encode()
    return (socket.AF_UNIX).to_bytes(2, sys.byteorder) + name + (b"" if target.startswith("@") else b"\0")


def connect_unix(target, _pid):
    descriptor = called(LIBC.socket(int(socket.AF_UNIX), int(socket.SOCK_STREAM), 0))
    address = unix_address(target)
    called(LIBC.connect(descriptor, address, len(address)))
    os.write(descriptor, b"hello")
    return os.read(descriptor, 100)


def send_by_a_pair(target, _pid):
    """Send through one end of a socket pair instead of a new socket."""
    pair = (ctypes.c_int * 2)()
    called(LIBC.socketpair(int(socket.AF_UNIX), int(socket.SOCK_DGRAM), 0, pair))
    address = unix_address(target)
    return b"x" * called(LIBC.sendto(pair[0], b"hello", 5, 0, address, len(address)))


def connect_tcp(target, _pid):
    descriptor = called(LIBC.socket(int(socket.AF_INET), int(socket.SOCK_STREAM), 0))
    address = (
        int(socket.AF_INET).to_bytes(2, sys.byteorder)
        + int(target).to_bytes(2, "big")
        + bytes([127, 0, 0, 1])
        + bytes(8)
    )
    called(LIBC.connect(descriptor, address, len(address)))
    os.write(descriptor, b"hello")
    return os.read(descriptor, 100)


def read_natively(path):
    descriptor = called(LIBC.open(path.encode(), os.O_RDONLY))
    try:
        return os.read(descriptor, 1 << 20)
    finally:
        os.close(descriptor)


def read_the_document(target, _pid):
    return read_natively(target)


def read_environment(_target, pid):
    return read_natively(f"/proc/{pid}/environ")


def read_environment_of_a_thread(_target, pid):
    return read_natively(f"/proc/self/../{pid}/task/{pid}/environ")


def read_command_line(_target, pid):
    return read_natively(f"/proc/{pid}/cmdline")


def list_files(_target, pid):
    return " ".join(os.listdir(f"/proc/{pid}/fd")).encode()  # noqa: PTH208 - no more than the system's call


def attach(_target, pid):
    called(LIBC.ptrace(PTRACE_ATTACH, pid, None, None))
    os.waitpid(pid, 0)
    called(LIBC.ptrace(PTRACE_DETACH, pid, None, None))
    return b"attached"


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def read_memory(target, pid):
    """`target`: an address in the other process."""
    buffer = ctypes.create_string_buffer(16)
    local, remote = Vector(ctypes.addressof(buffer), 16), Vector(int(target), 16)
    called(LIBC.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))
    return buffer.raw


ARM = platform.machine() == "aarch64"
REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS)
HERE, NEW_USER, FS, SIGHAND, PARENT = -100, 0x10000000, 0x200, 0x800, 0x8000
UPPER_HALF = 1 << 32  # the kernel ignores it where an argument is an int
NO_TIMES = struct.pack("4q", 1, 0, 1, 0)
TIMES = struct.pack("2q", 1, 1)
FILES_LIMIT = (7, struct.pack("2Q", 512, 512))
SIGNAL = struct.pack("3i", 0, 0, -1) + bytes(116)
SCHEDULING = struct.pack("IIQiIQQQ", 48, 0, 0, 0, 0, 0, 0, 0)
ONE_CPU = struct.pack("Q", 1)


def system_call(number, *arguments):
    """Return whether the kernel allowed the system call, even if it found an argument to be wrong."""
    ready = [each if isinstance(each, bytes) else ctypes.c_long(each) for each in arguments]
    if LIBC.syscall(ctypes.c_long(number), *ready) < 0 and ctypes.get_errno() in REFUSALS:
        raise OSError(ctypes.get_errno(), "refused")
    return b"reached"


def by_descriptor(call):
    """`call(descriptor, target, pid)` with the file open for reading."""

    def do(target, pid):
        descriptor = called(LIBC.open(target.encode(), os.O_RDONLY))
        try:
            return call(descriptor, target, pid)
        finally:
            os.close(descriptor)

    return do


def own_signals(command, argument=None):
    def do(_target, pid):
        ends = os.pipe()
        try:
            fcntl.fcntl(ends[0], command, pid if argument is None else argument)
        finally:
            for end in ends:
                os.close(end)
        return b"reached"

    return do


def leave_the_session(_target, _pid):
    """Fork a process that would outlive the parser.

    If another thread has just requested the interpreter, the copy of this process would wait forever.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    time.sleep(0.05)  # threads that wait already ask after the old interval
    process = called(ctypes.PyDLL(None, use_errno=True).fork())
    if not process:
        os._exit(LIBC.setsid() < 0)
    sys.setswitchinterval(interval)
    if os.waitpid(process, 0)[1]:
        raise PermissionError
    return b"left"


# Number on x86-64, number on ARM, arguments made of a file's path and a process's id.
# Where a call would have lasting effects, an argument is wrong.
ON_FILES = {
    "chmod": (90, None, lambda path, _: (path, 0o640)),
    "fchmodat": (268, 53, lambda path, _: (HERE, path, 0o640)),
    "fchmodat2": (452, 452, lambda path, _: (HERE, path, 0o640, 0)),
    "chown": (92, None, lambda path, _: (path, -1, -1)),
    "lchown": (94, None, lambda path, _: (path, -1, -1)),
    "fchownat": (260, 54, lambda path, _: (HERE, path, -1, -1, 0)),
    "utime": (132, None, lambda path, _: (path, TIMES)),
    "utimes": (235, None, lambda path, _: (path, NO_TIMES)),
    "futimesat": (261, None, lambda path, _: (HERE, path, NO_TIMES)),
    "utimensat": (280, 88, lambda path, _: (HERE, path, NO_TIMES, 0)),
    "setxattr": (188, 5, lambda path, _: (path, b"user.cairn", b"x", 1, 0)),
    "lsetxattr": (189, 6, lambda path, _: (path, b"user.cairn", b"x", 1, 0)),
    "removexattr": (197, 14, lambda path, _: (path, b"user.other")),
    "lremovexattr": (198, 15, lambda path, _: (path, b"user.other")),
    "truncate": (76, 45, lambda path, _: (path, 10)),
}
ON_OPEN_FILES = {
    "fchmod": (91, 52, lambda file, _: (file, 0o644)),
    "fchown": (93, 55, lambda file, _: (file, -1, -1)),
    "utimensat_of_an_open_file": (280, 88, lambda file, _: (file, 0, NO_TIMES, 0)),
    "fsetxattr": (190, 7, lambda file, _: (file, b"user.cairn", b"x", 1, 0)),
    "fremovexattr": (199, 16, lambda file, _: (file, b"user.other")),
    "lease": (72, 25, lambda file, _: (file, 1024, 0)),
    "set_flags": (16, 29, lambda file, _: (file, 0x40086602, 0)),
    "set_project": (16, 29, lambda file, _: (file, 0x401C5820, 0)),
}
ON_PROCESSES = {
    "prlimit": (302, 261, lambda _, pid: (pid, *FILES_LIMIT, 0)),
    "prlimit_with_an_upper_half": (302, 261, lambda _, pid: (UPPER_HALF | pid, *FILES_LIMIT, 0)),
    "setpriority": (141, 140, lambda _, pid: (0, pid, 1)),
    "sched_setaffinity": (203, 122, lambda _, pid: (pid, 8, ONE_CPU)),
    "sched_setscheduler": (144, 119, lambda _, pid: (pid, 0, bytes(8))),
    "sched_setparam": (142, 118, lambda _, pid: (pid, bytes(8))),
    "sched_setattr": (314, 274, lambda _, pid: (pid, SCHEDULING, 0)),
    "ioprio_set": (251, 30, lambda _, pid: (1, pid, (2 << 13) | 4)),
    "kill": (62, 129, lambda _, pid: (pid, 0)),
    "kill_with_an_upper_half": (62, 129, lambda _, pid: (UPPER_HALF | pid, 0)),
    "tkill": (200, 130, lambda _, pid: (pid, 0)),
    "tgkill": (234, 131, lambda _, pid: (pid, pid, 0)),
    "rt_sigqueueinfo": (129, 138, lambda _, pid: (pid, 0, SIGNAL)),
    "rt_tgsigqueueinfo": (297, 240, lambda _, pid: (pid, pid, 0, SIGNAL)),
    "pidfd_send_signal": (424, 424, lambda *_: (-1, 0, 0, 0)),
}
ON_THE_KERNEL = {
    "shmget": (29, 194, lambda *_: (0x7F00CA12, 0, 0)),
    "msgget": (68, 186, lambda *_: (0x7F00CA12, 0)),
    "semget": (64, 190, lambda *_: (0x7F00CA12, 0, 0)),
    "mq_open": (240, 180, lambda *_: (b"cairn-none", 0, 0, 0)),
    "unshare": (272, 97, lambda *_: (FS,)),
    "clone_a_namespace": (56, 220, lambda *_: (NEW_USER | FS, 0, 0, 0, 0)),
    "clone_a_sibling": (56, 220, lambda *_: (PARENT | SIGHAND, 0, 0, 0, 0)),
    "clone3": (435, 435, lambda *_: (0, 0)),
    "setpgid": (109, 154, lambda *_: (0, -1)),
}
ON_THE_KERNEL_BY_PRIVILEGE = {
    "sethostname": (170, 161, lambda *_: (b"", -1)),
    "setdomainname": (171, 162, lambda *_: (b"", -1)),
    "fsopen": (430, 430, lambda *_: (0, 0)),
    "fsmount": (432, 432, lambda *_: (-1, 0, 0)),
    "move_mount": (429, 429, lambda *_: (-1, b"", -1, b"", 0)),
    "open_tree": (428, 428, lambda *_: (-1, b"x", 0)),
    "mount_setattr": (442, 442, lambda *_: (-1, b"x", 0, 0, 0)),
    "userfaultfd": (323, 282, lambda *_: (0xDEAD,)),
    "perf_event_open": (298, 241, lambda *_: (0, 0, -1, -1, 0)),
    "io_uring_setup": (425, 425, lambda *_: (0, 0)),
    "chroot": (161, 51, lambda *_: (0,)),
    "fanotify_init": (300, 262, lambda *_: (0xDEAD0000, 0)),
    "settimeofday": (164, 170, lambda *_: (bytes([255] * 16), 0)),
    "swapoff": (168, 225, lambda *_: (0,)),
    "delete_module": (176, 106, lambda *_: (0, 0)),
}


def calls(table):
    """Return the system calls that exist on this machine."""
    return {name: (numbers[ARM], ready) for name, (*numbers, ready) in table.items() if numbers[ARM]}


def on_a_path(number, ready):
    return lambda target, pid: system_call(number, *ready(target.encode() + b"\0", pid))


def on_an_open_file(number, ready):
    return by_descriptor(lambda file, _target, pid: system_call(number, *ready(file, pid)))


ATTEMPTS = {
    function.__name__: function
    for function in (
        connect_unix,
        send_by_a_pair,
        connect_tcp,
        read_environment,
        read_environment_of_a_thread,
        read_command_line,
        list_files,
        attach,
        read_memory,
        read_the_document,
    )
}
for table in (ON_FILES, ON_PROCESSES, ON_THE_KERNEL, ON_THE_KERNEL_BY_PRIVILEGE):
    ATTEMPTS.update({name: on_a_path(*call) for name, call in calls(table).items()})
ATTEMPTS.update({name: on_an_open_file(*call) for name, call in calls(ON_OPEN_FILES).items()})
SIGNALS_BY_FILES = {
    "own_a_file": own_signals(fcntl.F_SETOWN),
    "choose_a_signal": own_signals(fcntl.F_SETSIG, 9),
}
ATTEMPTS.update(SIGNALS_BY_FILES | {"leave_the_session": leave_the_session})


def attempt(name, target, pid):
    """Return the result of the attempt, or nothing if it was refused."""
    try:
        return ATTEMPTS[name](target, int(pid))
    except (OSError, PermissionError):
        return b""


if __name__ == "__main__":
    sys.stdout.buffer.write(attempt(*sys.argv[1:]))
