"""Pages for signed-in users while the database is unavailable."""

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from cairn.accounts.models import User
from tests.web.api.conftest import assert_problem

pytestmark = pytest.mark.django_db


def away(*_arguments: Any) -> Any:
    raise OperationalError


@pytest.mark.parametrize("path", ["/", "/library", "/account"])
def test_page_without_a_database_returns_503_with_retry_after(path: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create(username="mia"))
    with connection.execute_wrapper(away):
        page = client.get(path)
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert "try again in a moment" in page.content.decode()


def test_database_failure_page_uses_the_browsers_language() -> None:
    user = User.objects.create(username="mia")
    for language, advice in (("de", "gleich noch einmal"), ("en", "try again in a moment")):
        client = Client(raise_request_exception=False, headers={"Accept-Language": language})
        client.force_login(user)
        with connection.execute_wrapper(away):
            page = client.get("/library")
        assert advice in page.content.decode()
        assert f'<html lang="{language}"' in page.content.decode()


def test_database_failure_in_the_api_is_a_problem_document() -> None:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create(username="mia"))
    with connection.execute_wrapper(away):
        answer = client.get("/api/v1/me")
    assert_problem(answer, 503, "unavailable")
    assert answer["Retry-After"] == "5"
