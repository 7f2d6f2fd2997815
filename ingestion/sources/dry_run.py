"""Find out what a sync would do, without storing anything."""

import copy
import logging
import time
from dataclasses import dataclass, field
from typing import Final

from cairn.errors import CairnError
from cairn.messages import CodedMessage
from ingestion.models import Source, SourceItem
from ingestion.sources.options import connect
from ingestion.sources.protocol import Complete, Item, Unlisted
from ingestion.sources.sync.access import pages_of
from ingestion.sources.sync.items import fields_of, is_storable, unstorable_id
from ingestion.sources.time_limit import run_limited

log = logging.getLogger(__name__)

DRY_RUN_SECONDS: Final = 60.0
NAMED: Final = 100


@dataclass(slots=True)
class Found:
    """How many items, and the addresses of the first 100."""

    count: int = 0
    uris: list[str] = field(default_factory=list)

    def add(self, uri: str) -> None:
        self.count += 1
        if len(self.uris) < NAMED:
            self.uris.append(uri)


@dataclass(slots=True)
class DryRun:
    """What a sync would do. If the listing isn't `complete`, there may be more, and `error` may give the
    reason.

    `unlisted`: reasons by container. `gone` is only known after a complete listing.
    """

    new: Found = field(default_factory=Found)
    changed: Found = field(default_factory=Found)
    gone: Found = field(default_factory=Found)
    unchanged: int = 0
    unlisted: dict[str, str] = field(default_factory=dict)
    complete: bool = False
    error: str = ""


def source_dry_run(source: Source, *, seconds: float = DRY_RUN_SECONDS) -> DryRun:
    """List a source within a time limit, and compare it with what was synced. Nothing is stored."""
    run = _Run(source, time.monotonic() + seconds)
    if run_limited(run.work, seconds):
        run.find_gone()
        return run.result
    result = copy.deepcopy(run.result)
    result.error = CodedMessage("source_check_timeout", seconds=round(seconds))
    return result


class _Run:
    def __init__(self, source: Source, end: float) -> None:
        self._source = source
        self._end = end
        self._listed: set[str] = set()
        self._versions = dict(
            SourceItem.objects.filter(source=source).values_list("external_id", "synced_version")
        )
        self.result = DryRun()

    def work(self) -> None:
        try:
            with connect(self._source) as connection:
                for change in connection.list_changes(""):
                    if time.monotonic() > self._end:
                        return
                    self._add(change)
        except CairnError as error:
            self.result.error = error.message
        except Exception:  # the boundary of a thread: the person who waits learns that it failed
            log.exception("dry run of a source failed")
            self.result.error = CodedMessage("source_check_failed")

    def _add(self, change: object) -> None:
        match change:
            case Item():
                self._compare(change)
            case Unlisted():
                self.result.unlisted[change.container] = change.reason
            case Complete():
                self.result.complete = True

    def _compare(self, item: Item) -> None:
        storable = is_storable(item)
        identity = item.id if storable else unstorable_id(item)
        if identity in self._listed:
            return
        self._listed.add(identity)
        before = self._versions.get(identity)
        if before is None:
            self.result.new.add(item.uri)
        elif storable and before != fields_of(item)["version"]:
            self.result.changed.add(item.uri)
        else:
            self.result.unchanged += 1

    def find_gone(self) -> None:
        """Find the items that are missing from a complete listing."""
        if not self.result.complete:
            return
        for page in pages_of(SourceItem.objects.filter(source=self._source)):
            for row in page:
                if row.external_id not in self._listed and not self._is_unlisted(row.container):
                    self.result.gone.add(row.uri)

    def _is_unlisted(self, container: str) -> bool:
        return any(
            outer in ("", container) or container.startswith(f"{outer}/") for outer in self.result.unlisted
        )
