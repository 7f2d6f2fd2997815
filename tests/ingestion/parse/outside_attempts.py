"""What code that took over a parser might try, by the system's own calls. It imports nothing of Cairn.

As a program: `python -c SOURCE ATTEMPT TARGET PID`, which prints what was got, or nothing.
"""

import ctypes
import os
import socket
import sys

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
    """Without making a socket: one end of a pair is used to write to somebody else."""
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
    )
}


def attempt(name, target, pid):
    """What was got; nothing if it was refused."""
    try:
        return ATTEMPTS[name](target, int(pid))
    except (OSError, PermissionError):
        return b""


if __name__ == "__main__":
    sys.stdout.buffer.write(attempt(*sys.argv[1:]))
