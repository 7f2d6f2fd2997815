"""Reading the permissions of some documents from their source, within a time limit."""

import copy
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.errors import CairnError
from cairn.messages import CodedMessage
from ingestion.models import Source, SourceItem
from ingestion.sources.kinds import get_kind
from ingestion.sources.options import load_options
from ingestion.sources.protocol import Item
from ingestion.sources.protocol import Source as Connection
from ingestion.sources.sync.items import item_of
from ingestion.sources.time_limit import run_limited

log = logging.getLogger(__name__)

READ_SECONDS: Final = 60.0
PEOPLE_SECONDS: Final = 30.0
BATCH_SIZE: Final = 10


@dataclass(slots=True)
class FreshAccess:
    """What the source says. `by_item`: access of each item that was asked for, in time.

    `people` is None unless the source listed all of them in time. `problem`: why the reading ended early.
    """

    by_item: dict[str, SourceAccess] = field(default_factory=dict)
    people: list[SourcePerson | SourceGroup] | None = None
    problem: str = ""


def read_fresh_access(source: Source, rows: Sequence[SourceItem], seconds: float) -> FreshAccess:
    """Ask the source who may read these items, and who is in its groups. Nothing is stored.

    Raises SourceRefused if the options can't be used, and RateLimited if too many tests are running.
    """
    found = FreshAccess()
    kind, options, items = get_kind(source.kind), load_options(source), [item_of(row) for row in rows]

    def work() -> None:
        try:
            with kind.connect(options) as connection:
                _read_items(connection, items, found, time.monotonic() + seconds)
                if kind.has_people and not found.problem:
                    _read_people(connection, found)
        except CairnError as error:
            found.problem = error.message
        except Exception:  # the boundary of a thread: the result says that it failed
            log.exception("reading permissions of a source failed")
            found.problem = CodedMessage("source_check_failed")

    ended = run_limited(work, seconds + PEOPLE_SECONDS)
    result = copy.copy(found)  # a thread that goes on must not change it
    result.by_item = dict(found.by_item)
    if not ended and not result.problem and len(result.by_item) < len(items):
        result.problem = _late(result, items)
    return result


def _read_items(connection: Connection, items: Sequence[Item], found: FreshAccess, until: float) -> None:
    for start in range(0, len(items), BATCH_SIZE):
        batch = items[start : start + BATCH_SIZE]
        asked: dict[str, SourceAccess] = {}
        for identity, access in connection.list_access(batch):
            asked[identity] = access
            if time.monotonic() > until:
                found.by_item.update(asked)
                found.problem = _late(found, items)
                return
        missing = SourceAccess(unknown=CodedMessage("source_item_missing"))
        found.by_item.update({item.id: asked.get(item.id, missing) for item in batch})


def _read_people(connection: Connection, found: FreshAccess) -> None:
    """Read all people and groups, unless that takes too long or fails: then the last sync has to do."""
    until = time.monotonic() + PEOPLE_SECONDS
    people: list[SourcePerson | SourceGroup] = []
    try:
        for each in connection.list_people():
            people.append(each)
            if time.monotonic() > until:
                return
    except CairnError as error:
        log.info("people of a source were not read: %s", error.message)
        return
    found.people = people


def _late(found: FreshAccess, items: Sequence[Item]) -> CodedMessage:
    return CodedMessage("source_verification_late", documents=len(found.by_item), planned=len(items))
