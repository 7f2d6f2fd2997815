"""Baselines for comparing evaluations: stored runs or files."""

import json
from pathlib import Path
from typing import Final

from cairn.errors import InvalidInput
from web.cli.api_client import Api, Json
from web.cli.evaluation_client import changes

LATEST: Final = "latest"
_RUNS: Final = "/api/v1/evaluations"


def baseline(api: Api, base: str, reference: str) -> Json:
    """Load a baseline. `reference` is a file, a run's id or name, or `latest`. The last run of a name
    counts.
    """
    path = Path(reference)
    return _run_in(path) if path.is_file() else _fetch_run(api, base, reference)


def _fetch_run(api: Api, base: str, reference: str) -> Json:
    for run in api.pages(_RUNS, knowledge_base=base):
        if reference in {LATEST, run["id"], run["name"]}:
            return api.get(f"{_RUNS}/{run['id']}")
    raise InvalidInput(f"There is neither a file nor a run of this knowledge base named “{reference}”.")


def _run_in(path: Path) -> Json:
    try:
        run: Json = json.loads(path.read_text(encoding="utf-8"))
        changes(run, run)
        dict(run["measures"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} isn't output of evaluate --json.") from error
    return run
