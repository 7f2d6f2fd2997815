"""Rules for which limits apply to a principal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db.models import Q

from cairn.access.scope import Principal
from cairn.limits.models import Limit
from cairn.settings import environment

Most = int | None
"""None: no limit."""


class Measure(StrEnum):
    """A limit; the setting with its default has the same name, except as in `_SETTINGS`."""

    QUESTIONS_PER_MINUTE = "questions_per_minute"
    QUESTIONS_PER_DAY = "questions_per_day"
    TOKENS_PER_DAY = "tokens_per_day"
    SEARCHES_PER_MINUTE = "searches_per_minute"
    UPLOADS_PER_MINUTE = "uploads_per_minute"
    UPLOADS_PER_DAY = "uploads_per_day"
    UPLOAD_MB_PER_DAY = "upload_mb_per_day"
    STREAMS_AT_ONCE = "streams_at_once"
    FOLLOWED_AT_ONCE = "followed_at_once"


@dataclass(frozen=True, slots=True)
class Allowance:
    """`owner` is whose counter is held against `most`; `owners` are all whose use is counted."""

    owner: UUID
    owners: tuple[UUID, ...]
    most: Mapping[Measure, Most]


_SETTINGS: Final = {
    Measure.STREAMS_AT_ONCE: "max_concurrent_streams",
    Measure.FOLLOWED_AT_ONCE: "max_concurrent_subscriptions",
}
NOTHING_LIMITED: Final[Mapping[Measure, Most]] = dict.fromkeys(Measure)


def allowance_of(principal: Principal) -> Allowance:
    """The most specific that names a measure decides: the key, the user, their groups (the most generous of
    them), everyone, the settings.

    A key with limits of its own has a counter of its own, and what is done with it does not count for its
    user. Any other key shares its user's.
    """
    limits = _limits_on(principal)
    own_key = any(limit.key_id for limit in limits)
    key, user = principal.key, principal.user
    owner = key if key and own_key else user
    owners = (owner,) if own_key or key is None else (user, key)
    return Allowance(owner, owners, {measure: _most(measure, limits) for measure in Measure})


def _limits_on(principal: Principal) -> list[Limit]:
    everyone = Q(user=None, group=None, key=None)
    mine = Q(user=principal.user) | Q(group__in=principal.groups)
    return list(Limit.objects.filter(everyone | mine | (Q(key=principal.key) if principal.key else Q())))


def _most(measure: Measure, limits: Iterable[Limit]) -> Most:
    naming = [limit for limit in limits if measure in limit.values]
    for those in (
        [limit for limit in naming if limit.key_id],
        [limit for limit in naming if limit.user_id],
        [limit for limit in naming if limit.group_id],
        naming,
    ):
        if those:
            return _most_generous(limit.values[measure] for limit in those)
    return default(measure)


def _most_generous(values: Iterable[Most]) -> Most:
    given = list(values)
    return None if None in given else max(value for value in given if value is not None)


def defaults() -> dict[Measure, Most]:
    return {measure: default(measure) for measure in Measure}


def default(measure: Measure) -> Most:
    """Return the default from the settings, where 0 means no limit."""
    value: int = getattr(environment(), _SETTINGS.get(measure, measure))
    return value or None
