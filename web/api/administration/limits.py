"""Usage limits of people and keys, for admins; and one's own usage."""
# ruff: noqa: ARG001 (the framework passes the request by name)

from datetime import date
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router
from pydantic import BaseModel, Field

from cairn.limits.concurrency import count_open_slots
from cairn.limits.models import Limit as LimitRow
from cairn.limits.rate_limits import used_today
from cairn.limits.rules import Measure, Most, allowance_of, defaults
from cairn.limits.services import limit_set
from web.api.framework.fields import Body, Count, Subject
from web.http.authentication import needs, principal_of

router = Router(tags=["Limits"], auth=needs(admin=True))
mine = Router(tags=["Me"])
MOST = 1_000_000_000
Number = Annotated[Count, Field(ge=0, le=MOST)]


class Measures(Body):
    """Null: no limit. Absent: inherited."""

    questions_per_minute: Number | None = None
    questions_per_day: Number | None = None
    tokens_per_day: Number | None = Field(None, description="Language model tokens, input and output")
    searches_per_minute: Number | None = None
    uploads_per_minute: Number | None = None
    uploads_per_day: Number | None = None
    upload_mb_per_day: Number | None = None
    streams_at_once: Number | None = Field(None, description="Concurrent answers")
    followed_at_once: Number | None = Field(
        None, description=("Concurrent event streams of jobs and imports")
    )

    @property
    def sent(self) -> dict[Measure, Most]:
        return {Measure(name): getattr(self, name) for name in self.model_fields_set}


class Limit(BaseModel):
    """`subject`: `everyone`, `group:ID`, `user:ID` or `key:ID`. `limits` are those set for it."""

    subject: str
    limits: dict[Measure, Most]

    @classmethod
    def of(cls, row: LimitRow) -> "Limit":
        return cls(subject=row.subject, limits={Measure(name): most for name, most in row.values.items()})


class Limits(BaseModel):
    """`defaults` are those of the settings, which apply where no limit is set."""

    defaults: dict[Measure, Most]
    items: list[Limit]


class NewLimit(Body):
    subject: Subject
    limits: Measures


class Usage(BaseModel):
    """`limits`: those of this key or session, null: none. `used`: since midnight UTC, by everything that
    shares these limits; searches are counted where they are limited. `streams`: answers being written now.
    """

    day: date
    limits: dict[Measure, Most]
    used: dict[str, int]
    streams: int


@router.get("", summary="List limits", response=Limits)
def limit_list(request: HttpRequest) -> Limits:
    """Returns the limits of all subjects, and the defaults from the settings."""
    return Limits(defaults=defaults(), items=[Limit.of(row) for row in LimitRow.objects.all()])


@router.put("", summary="Set the limits of a subject", response=Limit)
def limit_put(request: HttpRequest, payload: NewLimit) -> Limit:
    """Replaces all limits of the subject. Without any, it inherits its limits."""
    values = payload.limits.sent
    limit_set(subject=payload.subject, values=values, actor=principal_of(request).actor)
    return Limit(subject=payload.subject, limits=values)


@mine.get("/usage", summary="Get your limits and today’s use", response=Usage, auth=needs())
def usage(request: HttpRequest) -> dict[str, Any]:
    """Returns your limits and today's usage."""
    allowance = allowance_of(principal_of(request))
    return {
        "day": timezone.now().date(),
        "limits": dict(allowance.most),
        "used": used_today(allowance),
        "streams": count_open_slots(allowance),
    }
