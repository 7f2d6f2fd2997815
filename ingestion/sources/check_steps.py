"""Steps of connection tests that several kinds of sources have."""

from collections.abc import Callable, Collection, Generator, Iterable
from dataclasses import dataclass
from typing import Final

from cairn.access.source_access import SourcePerson
from cairn.messages import CodedMessage
from ingestion.sources.protocol import (
    Change,
    CheckStep,
    Item,
    ItemChanged,
    ItemUnavailable,
    Source,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
)

FAILURES: Final = (SourceUnavailable, SourceRefused, ItemUnavailable, ItemChanged)


@dataclass(frozen=True, slots=True)
class StepWarning:
    """What a test of a step returns if it succeeded, and `text` should be improved. "" if nothing should."""

    text: str


def run_steps(*steps: tuple[str, Callable[[], object]]) -> Generator[CheckStep, None, bool]:
    """Run steps up to the first that fails, and return whether none did. Each has the code of its name, and
    may return a text to show, or a warning."""
    for name, test in steps:
        try:
            result = test()
        except FAILURES as error:
            yield CheckStep(CodedMessage(name), problem=error.message)
            return False
        detail = result if isinstance(result, str) else ""
        warning = result.text if isinstance(result, StepWarning) else ""
        yield CheckStep(CodedMessage(name), detail, warning=warning)
    return True


def find_first(changes: Iterable[Change], *, skips_unlisted: bool = True) -> list[Item]:
    """Return the first item, [] if there is none. Raises SourceRefused if a container before it can't be
    listed, unless those are skipped."""
    for change in changes:
        if isinstance(change, Item):
            return [change]
        if isinstance(change, Unlisted) and not skips_unlisted:
            raise SourceRefused(change.reason)
    return []


def read_items(source: Source, items: Iterable[Item]) -> None:
    """Start to read each of the items, which may be large."""
    for item in items:
        with source.open(item) as content:
            content.read(1)


def require_known_access(source: Source, items: Collection[Item]) -> None:
    """Raise SourceRefused if the source doesn't return who may read these items."""
    for _item, access in source.list_access(items):
        if access.unknown:
            raise SourceRefused(access.unknown)


def require_people(source: Source, code: str) -> None:
    """Raise SourceRefused with a message if the source lists no people."""
    if not any(isinstance(each, SourcePerson) for each in source.list_people()):
        raise SourceRefused(CodedMessage(code))


def check_reading(source: Source, items: Iterable[Item], describe: Callable[[Item], str]) -> CheckStep:
    """Start to read the first of the items, if there are any."""
    name = CodedMessage("source_step_read")
    item = next(iter(items), None)
    if item is None:
        return CheckStep(name, CodedMessage("source_nothing_to_read"))
    try:
        with source.open(item) as content:
            content.read(1)
    except FAILURES as error:
        return CheckStep(name, describe(item), error.message)
    return CheckStep(name, describe(item))
