"""An index of one size, from the first chunk to the last question, each step in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from cairn.settings import environment
from cairn.settings.env import ROOT
from retrieval.index.backends import index_backend
from tests.bench.scale.asking import Asked, Memory

QUESTIONS: Final = 100
LOOK_SECONDS: Final = 0.2
_BLOCK: Final = 512  # bytes, whatever the file system


@dataclass(frozen=True, slots=True)
class Step:
    """`peak`, and `disk` in bytes: the most that was seen, at a look each LOOK_SECONDS."""

    seconds: float
    peak: Memory
    disk: int


@dataclass(frozen=True, slots=True)
class Measured:
    """`filled.seconds` are those of the calls of the index alone. `plain` is before there was a graph: search
    looked at every vector, and what it found is exact."""

    chunks: int
    filled: Step
    filled_disk: int
    plain: Asked
    optimised: Step
    disk: int
    graph: Asked

    def recall(self, readable: int) -> float:
        """Return the share of the nearest chunks that search finds with a graph."""
        pairs = list(zip(self.plain.nearest[readable], self.graph.nearest[readable], strict=True))
        found = sum(len(set(exact) & set(near)) for exact, near in pairs)
        return found / sum(len(exact) for exact, _ in pairs)


def measured(chunks: int, told: Callable[[str], None], *, count: int = QUESTIONS) -> Measured:
    """Measure an index that is created in DATA_DIR."""
    name = f"scale-{chunks}"
    folder = environment().data_dir / "index" / name
    told(f"{chunks:,} chunks: filling")
    filled, output = watched(_child("building", name, chunks), folder)
    filled_disk = disk_bytes(folder)
    told(f"{chunks:,} chunks: questions without a graph")
    plain = _asked(name, chunks, count)
    told(f"{chunks:,} chunks: optimising")
    child = index_backend().optimising(name)
    assert child is not None, "QDRANT_URL is set: this is about an index in the process"
    optimised, _ = watched(child, folder)
    disk = disk_bytes(folder)
    told(f"{chunks:,} chunks: questions with a graph")
    graph = _asked(name, chunks, count)
    calls = Step(json.loads(output)["seconds"], filled.peak, filled.disk)
    return Measured(chunks, calls, filled_disk, plain, optimised, disk, graph)


def disk_bytes(folder: Path) -> int:
    """Return the allocated bytes: the store's files are sparse."""
    total = 0
    for place, _folders, names in os.walk(folder):  # skips a folder that has just been removed
        for name in names:
            with suppress(FileNotFoundError):  # a segment that has just been replaced
                total += Path(place, name).stat().st_blocks * _BLOCK
    return total


def _asked(name: str, chunks: int, count: int) -> Asked:
    child = _child("asking", name, chunks, count)
    output, _ = child.communicate()
    _require_well(child)
    return Asked.read(output)


def _child(module: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.scale.{module}", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def watched(child: "subprocess.Popen[str]", folder: Path) -> tuple[Step, str]:
    """And what the child wrote, which must fit into a pipe."""
    process, began = psutil.Process(child.pid), time.perf_counter()
    resident = anonymous = disk = 0
    try:
        while child.poll() is None:
            with suppress(psutil.NoSuchProcess):  # it ended between both looks
                memory = Memory.of(process)
                resident, anonymous = max(resident, memory.resident), max(anonymous, memory.anonymous)
            disk = max(disk, disk_bytes(folder))
            time.sleep(LOOK_SECONDS)
        seconds = time.perf_counter() - began
    finally:
        child.kill()
        output, _ = child.communicate()
    _require_well(child)
    return Step(seconds, Memory(resident, anonymous), disk), output or ""


def _require_well(child: "subprocess.Popen[str]") -> None:
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, child.args)
