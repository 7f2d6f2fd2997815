"""Full listings once a day, for sources whose changes don't show what was deleted."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from ingestion.sources.protocol import Change, Complete

FULL_EVERY: Final = timedelta(hours=24)


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
