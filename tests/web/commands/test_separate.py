"""What a worker, beat or web process of its own says when it cannot begin. What they do: see the clusters of
tests/ingestion and tests/web."""

from pathlib import Path

import pytest

from tests.backends import free_port
from tests.servers import run_manage

pytestmark = pytest.mark.slow

SHARED = {"CELERY_BROKER_URL": "redis://:hidden@127.0.0.1:{port}/0", "QDRANT_URL": "http://127.0.0.1:{port}"}


@pytest.mark.parametrize(
    ("command", "settings", "problem"),
    [
        (["worker"], {}, "CELERY_BROKER_URL is memory://"),
        (["beat"], {}, "CELERY_BROKER_URL is memory://"),
        (["worker"], {**SHARED, "QDRANT_URL": ""}, "set QDRANT_URL to a Qdrant server"),
        (
            ["worker", "--queues", "bulk,haste"],
            SHARED,
            "There is no queue haste. There are: interactive, bulk",
        ),
        (["worker", "--concurrency", "0"], SHARED, "--concurrency must be at least 1"),
        (["worker"], SHARED, "The tables are not up to date: run `manage.py migrate` first."),
        (["beat"], SHARED, "The broker at redis://127.0.0.1:"),
        (["web"], {}, "CELERY_BROKER_URL is memory://"),
        (["web"], {**SHARED, "QDRANT_URL": ""}, "set QDRANT_URL to a Qdrant server"),
        (
            ["web", "--workers", "2", "--port", "0"],
            {**SHARED, "QDRANT_URL": "", "SECRET_KEY": "long enough for a test of what it says"},
            "set QDRANT_URL to a Qdrant server",
        ),
        (["web"], SHARED, "set SECRET_KEY, the same for all of them"),
        (
            ["web", "--port", "0"],
            {**SHARED, "SECRET_KEY": "long enough for a test of what it says"},
            "The tables are not up to date: run `manage.py migrate` first.",
        ),
        (["web", "--workers", "0"], SHARED, "--workers must be at least 1"),
    ],
)
def test_missing_setting_is_explained(
    command: list[str], settings: dict[str, str], problem: str, tmp_path: Path
) -> None:
    port = str(free_port())
    given = {name: value.format(port=port) for name, value in settings.items()}
    ended = run_manage(tmp_path, *command, **given)
    assert ended.returncode == 1
    assert problem in ended.stderr
    assert "processes at" not in ended.stdout
    assert "Traceback" not in ended.stderr
    assert "hidden" not in ended.stderr
