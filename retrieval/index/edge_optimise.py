"""Run as a program: vacuums a closed Qdrant Edge shard and builds its HNSW graph.

Edge holds the GIL in `optimize()` to its end, so it has a process of its own. Imports nothing of Cairn.
"""

import ctypes
import os
import signal
import sys
import threading
from typing import Final

import qdrant_edge as edge

_NICE: Final = 10
_PR_SET_PDEATHSIG: Final = 1


def main(folder: str) -> None:
    os.nice(_NICE)
    shard = edge.EdgeShard.load(folder)
    shard.optimize()
    shard.flush()
    shard.close()


def _end_with_parent() -> None:
    """Let the kernel end this process with its parent: a thread cannot run while the GIL is held."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_end_at_end_of_input, daemon=True).start()


def _end_at_end_of_input() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    _end_with_parent()
    main(sys.argv[1])
