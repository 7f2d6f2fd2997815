"""`make cluster`: every process of a cluster, on this machine, for a look. Ctrl-C ends them all."""

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest

from cairn.settings import environment
from tests.cluster.processes import Cluster


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # a shell has what it starts in the background ignore it
    try:
        with Cluster(options.folder, port=options.port, broker=options.broker, told=_told) as cluster:
            ready = {"url": cluster.url, "pids": cluster.pids, "data_dir": str(cluster.data_dir)}
            _told(json.dumps(ready) if options.as_json else cluster.summary)
            cluster.watch()
    except KeyboardInterrupt:
        _told("Ended.")
    except pytest.skip.Exception as missing:
        sys.stderr.write(f"error: {missing}. Install it with: apt-get install postgresql valkey-server\n")
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="of the balancer; 0 takes a free one")
    parser.add_argument("--broker", choices=("valkey", "rabbitmq"), default="valkey")
    parser.add_argument(
        "--folder", type=Path, default=environment().data_dir / "cluster", help="for all data"
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="tell when it is ready in JSON")
    return parser.parse_args()


def _told(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
