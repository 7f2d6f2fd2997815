"""A new index, filled as ingestion fills it: `python -m tests.bench.scale.building NAME CHUNKS`.

One call for each document. Writes as JSON how long the calls took; making the points is not counted.
"""

import json
import sys
import time
from itertools import islice
from typing import Final

from retrieval.index.backends import index_backend
from tests.bench.scale.points import DIMENSION, PER_DOCUMENT, points

TOLD_EVERY: Final = 2_000  # documents


def main(name: str, chunks: int) -> None:
    index, seconds = index_backend().create(name, DIMENSION), 0.0
    for number in range(-(-chunks // PER_DOCUMENT)):
        made = list(islice(points(number), chunks - number * PER_DOCUMENT))
        began = time.perf_counter()
        index.upsert(made)
        seconds += time.perf_counter() - began
        if number % TOLD_EVERY == TOLD_EVERY - 1:
            sys.stderr.write(f"{(number + 1) * PER_DOCUMENT:,} of {chunks:,} chunks, {seconds:.0f} s\n")
    began = time.perf_counter()
    index.close()
    sys.stdout.write(json.dumps({"seconds": seconds + time.perf_counter() - began}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
