"""Management of index generations over REST."""

import time
from collections.abc import Sequence
from typing import Final

from cairn.errors import CairnError, Conflict
from retrieval.evaluation.gold_file import GoldQuestion
from web.cli.api_client import Api, Json
from web.cli.folder_upload import Tick

INDEX: Final = "/api/v1/index"
_LOOK_SECONDS: Final = 0.5


class BuildFailed(CairnError):
    """The build failed, for the reason in the message."""


def status(api: Api) -> Json:
    return api.get(INDEX)


def generation(shown: Json, identity: str) -> Json | None:
    return next((row for row in shown["generations"] if row["id"] == identity), None)


def in_state(shown: Json, *states: str) -> Json | None:
    return next((row for row in shown["generations"] if row["state"] in states), None)


def build(api: Api, model: str | None) -> Json:
    return api.post(f"{INDEX}/generations", {"embedding_model": model} if model else {})


def wait_until(api: Api, identity: str, state: str, tick: Tick) -> Json:
    """Wait for a state. Raises BuildFailed if its work has ended, Conflict if it was removed."""
    while True:
        row = generation(status(api), identity)
        if row is None or row["state"] == "removing":
            raise Conflict("This index build was cancelled.")
        if row["error"]:
            raise BuildFailed(row["error"])
        tick("Waiting, to make way" if row["paused"] else "Chunks", row["done"], row["total"])
        if row["state"] == state:
            return row
        time.sleep(_LOOK_SECONDS)


def compare(api: Api, base: str, questions: Sequence[GoldQuestion]) -> Json:
    asked = [question.model_dump(mode="json") for question in questions]
    return api.post(f"{INDEX}/compare", {"knowledge_base": base, "questions": asked})


def swap(api: Api, *, force: bool) -> Json:
    return api.post(f"{INDEX}/swap", {"force": force})


def rollback(api: Api) -> Json:
    return api.post(f"{INDEX}/rollback", {})


def cancel(api: Api, identity: str) -> None:
    api.delete(f"{INDEX}/generations/{identity}")
