"""The result of verifying the permissions of a source, for admins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.library.models import Document
from ingestion.models import Source, SourceVerification, VerificationState
from ingestion.sources.selectors import source_for
from web.pages.shell.decorators import fragment
from web.sources.verification import can_verify, last_verification


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """A difference as it is shown. `document` is None if it was deleted since."""

    document: Document | None
    too_much: tuple[str, ...]
    too_much_more: int
    too_little: tuple[str, ...]
    too_little_more: int
    level: int
    levels: int
    action: str


@require_safe
@fragment
def verification(request: HttpRequest, principal: Principal, source_id: str) -> HttpResponse:
    """Render the last verification, for a page that follows it."""
    require_admin(principal)
    row = source_for(principal, source_id)
    return render(request, "pages/sources/_verification.html", verification_context(row))


def verification_context(source: Source) -> dict[str, Any]:
    if not can_verify(source):
        return {"can_verify": False}
    last = last_verification(source)
    return {
        "can_verify": True,
        "source": source,
        "verification": last,
        "verifying": last is not None and last.state in (VerificationState.QUEUED, VerificationState.RUNNING),
        "differences": difference_rows(last) if last else [],
    }


def difference_rows(row: SourceVerification) -> list[DifferenceRow]:
    found = row.differences
    documents = Document.objects.present().in_bulk([UUID(each["document"]) for each in found])
    ids = {name for each in found for name in (*each["too_much"], *each["too_little"])}
    users = {str(user.pk): user.username for user in User.objects.filter(pk__in=ids)}
    return [_difference_row(each, documents.get(UUID(each["document"])), users) for each in found]


def _difference_row(
    each: Mapping[str, Any], document: Document | None, users: Mapping[str, str]
) -> DifferenceRow:
    too_much, too_little = _names(each["too_much"], users), _names(each["too_little"], users)
    return DifferenceRow(
        document=document,
        too_much=too_much,
        too_much_more=each["too_much_count"] - len(too_much),
        too_little=too_little,
        too_little_more=each["too_little_count"] - len(too_little),
        level=each["level"],
        levels=each["levels"],
        action=each["action"],
    )


def _names(ids: Sequence[str], users: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(users[name] for name in ids if name in users))
