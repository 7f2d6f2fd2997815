"""Measures search and answers at 100,000 passages and with 50 concurrent users, against the bare libraries.

`python -m tests.bench.search [--json FILE] [--only permissions search check crowd]`. All figures that are
compared come from one run on one machine. Answers come from a model server that writes at a steady pace.
Needs SAMPLE_DATA.
"""

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.bench import server as servers
from tests.bench.checking import check_figures
from tests.bench.crowd import crowd_figures
from tests.bench.figures import Figure, show
from tests.bench.permissions import permission_figures
from tests.bench.searching import search_figures
from tests.bench.served_model import served_model

SAMPLE_DATA = Path(os.environ.get("SAMPLE_DATA", servers.ROOT.parent / "shared" / "data"))
PARTS = {
    "permissions": permission_figures,
    "search": search_figures,
    "check": check_figures,
    "crowd": crowd_figures,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-search", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    if not (SAMPLE_DATA / "handbook").is_dir():
        raise SystemExit(f"There is no handbook in {SAMPLE_DATA}: set SAMPLE_DATA.")
    before = os.getloadavg()[0]
    with TemporaryDirectory(prefix="cairn-bench-") as folder, served_model() as settings:
        os.environ.update(settings, DATA_DIR=folder, SAMPLE_KNOWLEDGE_BASE="false")
        figures = [Figure("load of the machine before it", before, "processes")]
        for name in chosen.only:
            figures += PARTS[name](Path(folder))
    show(figures, Console(), file=chosen.json)


if __name__ == "__main__":
    main()
