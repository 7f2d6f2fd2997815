"""An install with the handbook in it, made once in a run."""

import os
from pathlib import Path

from tests.bench import server as servers

SAMPLE_DATA = Path(os.environ.get("SAMPLE_DATA", servers.ROOT.parent / "shared" / "data"))


def handbook_install(folder: Path) -> Path:
    """Create an install with the handbook below `folder` and return its DATA_DIR. No server runs in it."""
    data_dir = folder / "handbook"
    if not data_dir.exists():
        data_dir.mkdir(parents=True)
        server = servers.start(data_dir)
        try:
            servers.manage(data_dir, "ingest", str(SAMPLE_DATA / "handbook"), "--kb", "handbook", "--wait")
        finally:
            server.stop()
    return data_dir
