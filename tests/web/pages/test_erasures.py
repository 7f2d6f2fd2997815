"""Receipts of erasures, for admins."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.test import Client
from django.utils import timezone

from cairn.accounts.models import User
from ingestion.models import Receipt, ReceiptState
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
PAGE, REST = "/admin/erasures", "/api/v1/receipts"


def receipt(**fields: Any) -> Receipt:
    return Receipt.objects.create(**{"object": f"document:{uuid4()}", **fields})


def finished(**fields: Any) -> Receipt:
    removed = {"rows": 1, "chunks": 1234, "points": 0, "files": 2, "quotes": 0}
    return receipt(state=ReceiptState.DONE, verified_at=timezone.now(), removed=removed, **fields)


def test_receipts_show_removed_and_pending_parts(signed_in: SignIn, admin: User, rob: User) -> None:
    done, pending = finished(requested_by=rob), receipt()
    page = text_of(signed_in(admin).get(PAGE))
    assert done.object.partition(":")[2] in page
    assert "1,234 passages, 2 files, 1 row<" in page
    assert "requested by rob" in page
    assert "A worker is deleting the data." in page
    assert page.index(f"receipt-{pending.id}") < page.index(f"receipt-{done.id}")


def test_receipts_are_found_by_id_and_state(signed_in: SignIn, admin: User) -> None:
    done, pending = finished(), receipt()
    client = signed_in(admin)
    for query, shown, hidden in (
        (f"q={done.object}", done, pending),
        (f"q={pending.object.partition(':')[2]}", pending, done),
        ("state=pending", pending, done),
        ("state=done", done, pending),
    ):
        page = text_of(client.get(f"{PAGE}?{query}"))
        assert (f"receipt-{shown.id}" in page, f"receipt-{hidden.id}" in page) == (True, False), query
    for hostile in ("q=%00", "q='%20OR%201=1--", "state=nothing", "page=-1", "q=" + "x" * 5000):
        assert client.get(f"{PAGE}?{hostile}").status_code == 200


def test_many_receipts_are_paged(signed_in: SignIn, admin: User) -> None:
    for age in range(51):
        finished(created_at=timezone.now() - timedelta(hours=age))
    client = signed_in(admin)
    assert text_of(client.get(PAGE)).count('<tr id="receipt-') == 50
    assert text_of(client.get(f"{PAGE}?page=2")).count('<tr id="receipt-') == 1


def test_receipts_api_lists_all_for_admins_and_own_for_others(
    signed_in: SignIn, admin: User, rob: User
) -> None:
    own, others = finished(requested_by=rob), receipt()
    listed = signed_in(admin).get(REST).json()["items"]
    assert [item["id"] for item in listed] == [str(others.id), str(own.id)]
    assert [item["id"] for item in signed_in(admin).get(f"{REST}?state=done").json()["items"]] == [
        str(own.id)
    ]
    assert [item["id"] for item in signed_in(rob).get(REST).json()["items"]] == [str(own.id)]
    assert signed_in(rob).get(PAGE).status_code == 403
