"""Fresh processes, each with several threads that use the embedding model for the first time at once.

    python -m tests.stress.first_inference --processes 500

With --forked, processes share what was imported, which takes most of the time, and nothing of its first use.
"""

import argparse
import faulthandler
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir
from unittest.mock import patch

from cairn.inference.embedding import local_embedder, openvino
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.protocols import Embedder

_ROOT = Path(__file__).parents[2]
_MODELS = Path(gettempdir(), "cairn-stress-models")
_LOADED_AFTER = 300.0  # on a busy machine
_HANGS_AFTER = 240.0  # the same: a real hang never ends
_PREPARATIONS = (
    (openvino, "prepare_openvino"),
    (openvino.OpenVinoEncoder, "encode"),
    (openvino.OpenVinoEncoder, "_try_out"),
)
FINISHED, HUNG = "finished", "hung"
_TEXTS = ["A short text."] * 40  # two batches


def run_process(environment: dict[str, str], *arguments: str, hangs_after: float = _HANGS_AFTER) -> str:
    """Return FINISHED, HUNG, or the other output at the end of the process."""
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "tests.stress.first_inference"]
    done = subprocess.run(
        [*command, "--child", f"--hangs-after={hangs_after}", *arguments],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'platform'}", **environment},
        capture_output=True,
        text=True,
        timeout=_LOADED_AFTER + 2 * hangs_after,
        check=False,
    )
    if done.returncode == 0 and done.stdout == f"{FINISHED}\n":
        return FINISHED
    sys.stderr.write(done.stderr)
    waited = f"Timeout ({timedelta(seconds=hangs_after)})!"
    return HUNG if waited in done.stderr else done.stderr or f"ended with {done.returncode}"


def use_at_once(uses: Sequence[Callable[[], object]]) -> None:
    start = threading.Barrier(len(uses))

    def run(use: Callable[[], object]) -> None:
        start.wait()
        use()

    with ThreadPoolExecutor(len(uses)) as pool:
        for done in [pool.submit(run, use) for use in uses]:
            done.result()


def _embedder(models: Path) -> Embedder:
    return local_embedder(EncoderFolder.of("all-MiniLM-L6-v2"), backend="openvino", models=models)


def _child(models: Path, *, hangs_after: float, prepared: bool) -> None:
    """Without `prepared`, threads of the encoder create the first tensors, as before the fix."""
    faulthandler.dump_traceback_later(_LOADED_AFTER, exit=True)
    sys.setswitchinterval(1e-5)
    with ExitStack() as stack:
        for place, name in () if prepared else _PREPARATIONS:
            stack.enter_context(patch.object(place, name))
        embedder = _embedder(models)
        faulthandler.dump_traceback_later(hangs_after, exit=True)
        use_at_once([lambda: embedder.embed_documents(_TEXTS)] * 2)
    print(FINISHED, flush=True)
    os._exit(0)


def _started(processes: int, at_once: int) -> Iterator[str]:
    with ThreadPoolExecutor(at_once) as pool:
        results = [pool.submit(run_process, {}, f"--models={_MODELS}") for _ in range(processes)]
        for result in results:
            yield result.result()


def _forked(processes: int, at_once: int) -> Iterator[str]:
    """Fork this process, which has one thread, and has imported everything but used nothing."""
    running = 0
    for _ in range(processes):
        if running == at_once:
            yield _next_outcome()
            running -= 1
        if not os.fork():
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            _child(_MODELS, hangs_after=_HANGS_AFTER, prepared=True)
        running += 1
    for _ in range(running):
        yield _next_outcome()


def _next_outcome() -> str:
    _, status = os.wait()
    return FINISHED if status == 0 else HUNG


def _stress(processes: int, at_once: int, *, forked: bool) -> int:
    assert run_process({}, f"--models={_MODELS}") == FINISHED  # it exports the model for the others
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    for outcome in (_forked if forked else _started)(processes, at_once):
        outcomes[outcome] += 1
        if outcome != FINISHED or outcomes.total() % 50 == 0:
            print(f"{outcomes.total()} after {time.monotonic() - began:.0f} s: {dict(outcomes)}", flush=True)
    print(f"{processes} processes in {time.monotonic() - began:.0f} s: {dict(outcomes)}")
    return 0 if outcomes[FINISHED] == processes else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--forked", action="store_true")
    parser.add_argument("--models", type=Path, default=_MODELS, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--unprepared", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--hangs-after", type=float, default=_HANGS_AFTER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.child:
        return _stress(options.processes, options.at_once, forked=options.forked)
    _child(options.models, hangs_after=options.hangs_after, prepared=not options.unprepared)
    return 0


if __name__ == "__main__":
    sys.exit(main())
