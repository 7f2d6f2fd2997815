"""Admins set limits on a page, and see there what is used."""

from collections.abc import Callable

import pytest
from django.test import Client

from cairn.access.principals import principal_for_user
from cairn.accounts.models import Group, User
from cairn.accounts.services import api_key_create
from cairn.limits.models import Limit
from cairn.limits.rate_limits import question_charge, tokens_charge
from cairn.limits.rules import allowance_of
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
PAGE = "/admin/limits"


def test_limits_page_needs_an_admin(signed_in: SignIn, rob: User) -> None:
    for response in (signed_in(rob).get(PAGE), signed_in(rob).post(PAGE, {"subject": "everyone"})):
        assert response.status_code == 403


def test_limits_are_typed_and_shown(signed_in: SignIn, admin: User, mia: User) -> None:
    client = signed_in(admin)
    group = Group.objects.create(name="Guests")
    api_key_create(user=mia, label="scanner")
    html = text_of(client.get(PAGE))
    assert "scanner (mia)" in text_of(client.get("/choices/limits?q=scan"))
    assert 'placeholder="300"' in html
    form = {"subject": f"group:{group.id}", "questions_per_day": " 12 ", "tokens_per_day": "Unlimited"}
    answer = client.post(PAGE, form, follow=True)
    assert Limit.objects.get(group=group).values == {"questions_per_day": 12, "tokens_per_day": None}
    assert "Limits saved" in text_of(answer)
    assert 'value="12"' in text_of(answer)
    assert 'value="unlimited"' in text_of(answer)
    client.post(PAGE, {"subject": f"group:{group.id}"})
    assert not Limit.objects.exists()


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "²", "99999999999", "<b>"])
def test_invalid_limit_number_shows_an_error(signed_in: SignIn, admin: User, text: str) -> None:
    answer = signed_in(admin).post(PAGE, {"subject": "everyone", "questions_per_day": text})
    assert answer.status_code == 422
    assert "Questions per day: enter a number" in text_of(answer)
    assert not Limit.objects.exists()


@pytest.mark.parametrize("subject", ["", "nobody", "user:7", "key:\0"])
def test_limits_for_unknown_subjects_are_rejected(signed_in: SignIn, admin: User, subject: str) -> None:
    answer = signed_in(admin).post(PAGE, {"subject": subject, "questions_per_day": "1"})
    assert answer.status_code == 422


def test_use_is_shown(signed_in: SignIn, admin: User, mia: User) -> None:
    principal = principal_for_user(mia)
    question_charge(principal, allowance_of(principal))
    tokens_charge(principal, allowance_of(principal), 4321)
    html = text_of(signed_in(admin).get(PAGE))
    assert "<strong>mia</strong>" in html
    assert "4321" in html
