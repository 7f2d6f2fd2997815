"""Pages of the administration with 10,000 users, 500 groups and 2,000 knowledge bases.

Times depend on the machine, so the tests count queries and bytes; `--log-cli-level=INFO` shows the times.
"""

import logging
from collections.abc import Callable
from time import perf_counter

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cairn.accounts.models import User
from tests.web.crowd import PAGES, Crowd, create_crowd

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.slow]

MOST_QUERIES = 30
MOST_BYTES = 150_000


@pytest.fixture
def crowd(db: None) -> Crowd:
    return create_crowd()


def test_pages_of_the_administration_stay_small(
    signed_in: Callable[[User], Client], admin: User, crowd: Crowd
) -> None:
    client = signed_in(admin)
    too_large = []
    for template in PAGES:
        path = crowd.path(template)
        client.get(path)  # queries that run once per process
        with CaptureQueriesContext(connection) as queries:
            begun = perf_counter()
            response = client.get(path)
            took = perf_counter() - begun
        size = len(response.content)
        log.info("%s: %.0f ms, %d queries, %d bytes", template, took * 1000, len(queries), size)
        assert response.status_code in {200, 302}, path
        if len(queries) > MOST_QUERIES or size > MOST_BYTES:
            too_large.append(f"{template}: {len(queries)} queries, {size:,} bytes")
    assert too_large == []
