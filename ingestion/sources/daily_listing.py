"""Full listings once a day, for sources whose changes don't show what was deleted, in an order that deletions
don't change."""

import json
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar

from pydantic import BaseModel

from cairn.messages import CodedMessage
from ingestion.sources.json_api import MAX_PAGES, JsonApi, parse_query
from ingestion.sources.protocol import Change, Complete, SourceRefused

FULL_EVERY: Final = timedelta(hours=24)

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class TimeOrder(Generic[M]):
    """Order of a list by a time, oldest first. The parameter `since` leaves out what is older; `margin` is
    subtracted from it, for services that also leave out what has exactly that time. `key_of` identifies an
    object, `timespec` is the precision of times in requests."""

    since: str
    time_of: Callable[[M], datetime]
    key_of: Callable[[M], Hashable]
    timespec: str = "milliseconds"
    margin: timedelta = timedelta(0)

    def format_time(self, moment: datetime) -> str:
        return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=self.timespec)}Z"


def list_by_time(api: JsonApi, path: str, kind: type[M], order: TimeOrder[M], **params: str) -> Iterator[M]:
    """Yield the objects of a list that `params` put into this order.

    Each request asks for those since the last one that was listed: the pages of a list shift when something
    is deleted meanwhile, so that another one would be missed and taken for deleted. Only where one page isn't
    enough for a time, the link to the next page is followed, of which only the query counts.
    """
    start, page, seen = None, dict[str, str](), set[Hashable]()
    for _page in range(MAX_PAGES):
        since: dict[str, str] = {order.since: order.format_time(start)} if start else {}
        answer = api.read_answer(path, **{**params, **since, **page})
        rows = api.parse_list(answer, kind)
        times = [*([start] if start else []), *map(order.time_of, rows)]
        if times != sorted(times):
            raise api.server.invalid(order.since)
        yield from (row for row in rows if order.key_of(row) not in seen)
        link = api.find_next(answer)
        if not link:
            return
        keys, last = {order.key_of(row) for row in rows}, times[-1] - order.margin
        if start is None or last > start:
            start, page, seen = last, {}, keys
        elif (following := parse_query(link)) != page:
            page, seen = following, seen | keys
        else:
            raise api.server.invalid("next")
    raise SourceRefused(CodedMessage("source_answer_endless", server=api.server.name))


def list_since(
    cursor: str,
    *,
    list_all: Callable[[], Iterator[Change]],
    list_changed: Callable[[datetime], Iterator[Change]],
    require_account: Callable[[], object],
) -> Iterator[Change]:
    """Yield everything once a day, otherwise what changed since the last listing.

    A search doesn't find what was deleted, so only the full list shows what is gone. The account is checked
    again at the end: with a token that expired meanwhile, only what is public is listed.
    """
    now, (full, since) = current_time(), _read_cursor(cursor)
    require_account()
    if full is None or since is None or now - full >= FULL_EVERY or full > now:
        yield from list_all()
        full, complete = now, True
    else:
        yield from list_changed(since)
        complete = False
    require_account()
    yield Complete(json.dumps({"full": full.isoformat(), "since": now.isoformat()}), full=complete)


def current_time() -> datetime:
    return datetime.now(UTC)


def _read_cursor(cursor: str) -> tuple[datetime | None, datetime | None]:
    if not cursor:
        return None, None
    stored: dict[str, str] = json.loads(cursor)
    return datetime.fromisoformat(stored["full"]), datetime.fromisoformat(stored["since"])
