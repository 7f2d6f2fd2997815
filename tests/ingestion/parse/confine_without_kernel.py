"""Confines a process as on a kernel that grants nothing."""

from ingestion.parse import confine, landlock, seccomp

landlock.version = lambda: 0
seccomp._MACHINES = {}
confine._leave_network = lambda: None

if __name__ == "__main__":
    confine.main()
