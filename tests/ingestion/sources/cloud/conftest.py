"""A knowledge base that follows the server of a test's module."""

import pytest

from tests.ingestion.sources.access_by_source import FollowingBase


@pytest.fixture
def following(request: pytest.FixtureRequest, db: None) -> FollowingBase:
    """Everyone in the module's `PEOPLE` has an account, and so has a stranger."""
    base = FollowingBase()
    base.add_people([*request.module.PEOPLE, ""])
    return base
