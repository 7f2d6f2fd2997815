"""Pages of the administration with 10,000 users, 500 groups and 2,000 knowledge bases.

Times depend on the machine, so the tests count queries and bytes; `--log-cli-level=INFO` shows the times.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cairn.access.models import Grant, Role
from cairn.accounts.confusable_names import name_skeleton
from cairn.accounts.models import ApiKey, Group, User
from cairn.library.models import KnowledgeBase
from cairn.limits.models import Limit

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.slow]

USERS, GROUPS, BASES = 10_000, 500, 2_000
MOST_QUERIES = 30
MOST_BYTES = 150_000
PAGES = (
    "/admin", "/admin/knowledge-bases", "/admin/knowledge-bases/base-1", "/admin/documents",
    "/admin/ingestion",
    "/admin/evaluation", "/admin/evaluation/knowledge-bases/base-1", "/admin/evaluation/gold-questions/new",
    "/admin/gaps", "/admin/playground", "/admin/models", "/admin/users", "/admin/users?page=200",
    "/admin/users?q=99", "/admin/users/{user}", "/admin/groups", "/admin/groups/{group}", "/admin/keys",
    "/admin/limits", "/admin/access-checks", "/admin/audit", "/admin/components", "/account",
    "/choices/grantees?q=9", "/choices/knowledge-bases?q=9", "/choices/limits?q=9",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Crowd:
    user: User
    group: Group


@pytest.fixture
def crowd(db: None) -> Crowd:
    names = [f"user-{n}" for n in range(USERS)]
    users = User.objects.bulk_create(User(username=name, name_skeleton=name_skeleton(name)) for name in names)
    groups = Group.objects.bulk_create(Group(name=f"Group {n}") for n in range(GROUPS))
    Group.members.through.objects.bulk_create(
        Group.members.through(group=groups[(n + k * 7) % GROUPS], user=user)
        for n, user in enumerate(users)
        for k in range(5)
    )
    bases = KnowledgeBase.objects.bulk_create(
        KnowledgeBase(name=f"Base {n}", slug=f"base-{n}") for n in range(BASES)
    )
    Grant.objects.bulk_create(
        Grant(knowledge_base=base, group=groups[(n + k) % GROUPS], role=Role.READER)
        for n, base in enumerate(bases)
        for k in range(3)
    )
    ApiKey.objects.bulk_create(
        ApiKey(user=user, label="key", prefix="cairn_0", digest=str(n), scopes=["search"])
        for n, user in enumerate(users[:5000])
    )
    Limit.objects.bulk_create(Limit(user=user, values={"questions_per_day": 5}) for user in users[:1000])
    return Crowd(users[0], groups[0])


def test_pages_of_the_administration_stay_small(
    signed_in: Callable[[User], Client], admin: User, crowd: Crowd
) -> None:
    client = signed_in(admin)
    too_large = []
    for template in PAGES:
        path = template.format(user=crowd.user.id, group=crowd.group.id)
        client.get(path)  # what is read once for the process
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
