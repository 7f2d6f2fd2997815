"""`make bench-scale`: the vector index alone, with up to a million generated chunks.

Speed of filling and of search, memory, disk, and what a graph loses, at several sizes; and from the largest
the size of a Qdrant cluster, computed.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from cairn.settings import environment
from tests.bench.figures import show
from tests.bench.scale.measuring import measured
from tests.bench.scale.points import PER_DOCUMENT
from tests.bench.scale.report import figures, report_write

SIZES: Final = (10_000, 100_000)


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="cairn-scale-", dir=options.folder) as folder:
        os.environ["DATA_DIR"] = folder  # for the processes that this one starts, too
        if environment().qdrant_url is not None:
            sys.stderr.write("QDRANT_URL is set. This is about an index in the process.\n")
            return 2
        found = [measured(size, _told) for size in sizes(options.chunks)]
    named = [
        replace(figure, name=f"{each.chunks:,} chunks, {figure.name}")
        for each in found
        for figure in figures(each)
    ]
    show(named, Console(), file=options.json)
    if options.report:
        report_write(options.report, found)
    return 0


def sizes(most: int) -> Sequence[int]:
    """Smallest first."""
    return [*(size for size in SIZES if size < most), most]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--chunks", type=_chunks, default=1_000_000, help="of the largest index")
    parser.add_argument(
        "--folder", type=Path, help="where the indexes are made; 10 GB are enough for a million"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--report", type=Path, help="folder for the page and the plots")
    return parser.parse_args()


def _chunks(text: str) -> int:
    if (chunks := int(text)) < PER_DOCUMENT:
        raise argparse.ArgumentTypeError(f"at least {PER_DOCUMENT}")
    return chunks


def _told(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
