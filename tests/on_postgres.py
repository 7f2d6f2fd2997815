"""The tests that touch the database, on a PostgreSQL server of this run."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.backends import Postgres


def main(arguments: Sequence[str]) -> int:
    try:
        server = Postgres()
    except pytest.skip.Exception as missing:
        sys.stdout.write(f"SKIPPED everything on PostgreSQL: {missing}\n")
        return 0
    server.start()
    try:
        environment = {**os.environ, "DATABASE_URL": server.url}
        # The server goes with its databases: none is removed while a thread may still be connected.
        command = [sys.executable, "-m", "pytest", "--reuse-db", *arguments]
        return subprocess.run(command, env=environment, check=False).returncode
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
