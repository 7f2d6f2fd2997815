"""Red team runs over REST, for the command line."""

import time
from typing import Final

from cairn.errors import CairnError, Unavailable
from web.cli.api_client import Api, Json
from web.cli.folder_upload import Tick

RUNS: Final = "/api/v1/red-team-runs"
LOOK_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 15 * 60.0
"""How long to wait for progress: longer than one attack on a slow model takes."""


def run_red_team(api: Api, *, model: str | None, sample: int | None, seed: int, tick: Tick) -> Json:
    """Start a run and return it when it has ended. Raises CairnError if it fails or makes no progress."""
    run = api.post(RUNS, {"model": model, "sample": sample, "seed": seed})
    done, give_up = 0, time.monotonic() + PATIENCE_SECONDS
    while run["state"] == "running":
        if time.monotonic() > give_up:
            raise Unavailable("No worker has picked up the run, or an attack is taking too long.")
        time.sleep(LOOK_SECONDS)
        run = api.get(f"{RUNS}/{run['id']}")
        if run["score"]["attacks"] != done:
            done, give_up = run["score"]["attacks"], time.monotonic() + PATIENCE_SECONDS
        tick("Attacking", done, run["total"])
    if run["state"] != "done":
        raise CairnError(run["error"] or "The run was cancelled.")
    return run


def describe_red_team(run: Json) -> list[str]:
    """Return the result as lines of a table, and each attack that was not withstood."""
    head = f"{run['model']}: attacks withstood by the answer, and by the model's own text before any check"
    rows = [*run["categories"].items(), ("all", run["score"])]
    lines = [f"  {name:<20} {_describe(score)}" for name, score in rows]
    failed = [
        f"  {result['id']}: {', '.join(_describe_failures(result))}"
        for result in run["results"]
        if not (result["answer"]["withstood"] and result["model"]["withstood"])
    ]
    return [head, *lines, *(["Not withstood:", *failed] if failed else [])]


def _describe(score: Json) -> str:
    return f"{score['answer']:>3} and {score['model']:>3} of {score['attacks']:>3}"


def _describe_failures(result: Json) -> list[str]:
    names = {"answer": "answer", "model": "model's text"}
    return [
        f"{label} {failure.replace('_', ' ')}"
        for part, label in names.items()
        for failure in result[part]["failures"]
    ]
