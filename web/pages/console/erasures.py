"""Erasure receipts for admins: what was erased, when, and what a pending erasure waits for."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from django.views.decorators.http import require_safe

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from ingestion.erasure.receipts import waiting_for
from ingestion.models import Receipt, ReceiptState
from ingestion.selectors import receipts_for
from web.i18n.localize import number
from web.pages.shell.decorators import number_in, page, show

SHOWN: Final = 50
LONGEST_ID: Final = 100
KINDS: Final = {
    "document": _("Document"),
    "knowledge-base": _("Knowledge base"),
    "user": _("User"),
}
COUNTS: Final = {
    "chunks": ngettext_lazy("%(count)s passage", "%(count)s passages", "n"),
    "points": ngettext_lazy("%(count)s index point", "%(count)s index points", "n"),
    "files": ngettext_lazy("%(count)s file", "%(count)s files", "n"),
    "rows": ngettext_lazy("%(count)s row", "%(count)s rows", "n"),
    "quotes": ngettext_lazy("%(count)s quote", "%(count)s quotes", "n"),
}


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A receipt. `waiting_for` is empty once it is done."""

    id: str
    kind: str | Promise
    object: str
    requested_by: str
    is_done: bool
    waiting_for: str
    removed: str
    created_at: datetime
    verified_at: datetime | None


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    text = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_ID]
    state = request.GET.get("state", "")
    found = receipts_for(principal).select_related("requested_by").order_by("-created_at", "-id")
    if state in ReceiptState.values:
        found = found.filter(state=state)
    if text:
        found = found.filter(object__in=[text, *(f"{kind}:{text}" for kind in KINDS)])
    rows = Paginator(found, SHOWN).get_page(number_in(request.GET.get("page", "")))
    criteria = {name: value for name, value in (("q", text), ("state", state)) if value}
    context = {
        "tab": "erasures",
        "rows": rows,
        "receipts": _build_rows(rows),
        "text": text,
        "state": state,
        "is_filtered": bool(criteria),
        "query_prefix": f"{urlencode(criteria)}&" if criteria else "",
    }
    return show(request, principal, "pages/console/erasures.html", context, area="console")


def _build_rows(receipts: Iterable[Receipt]) -> list[ReceiptRow]:
    return [_build_row(receipt) for receipt in receipts]


def _build_row(receipt: Receipt) -> ReceiptRow:
    kind, _separator, identity = receipt.object.partition(":")
    return ReceiptRow(
        id=str(receipt.id),
        kind=KINDS.get(kind, kind),
        object=identity,
        requested_by=receipt.requested_by.label if receipt.requested_by else "",
        is_done=receipt.state == ReceiptState.DONE,
        waiting_for=waiting_for(receipt),
        removed=", ".join(
            text % {"n": receipt.removed[name], "count": number(receipt.removed[name])}
            for name, text in COUNTS.items()
            if receipt.removed.get(name)
        ),
        created_at=receipt.created_at,
        verified_at=receipt.verified_at,
    )
