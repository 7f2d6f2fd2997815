"""Confines a process as on a kernel that grants nothing."""

from ingestion.parse.sandbox import child, landlock, seccomp

landlock.version = lambda: 0
seccomp._MACHINES = {}
child._leave_network = lambda: None

if __name__ == "__main__":
    child.main()
