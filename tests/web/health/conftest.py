"""An admin who looks at the health of an installation."""

from collections.abc import Callable

import pytest

from cairn.accounts.models import User
from tests.web.pages.conftest import base, document, files_in_memory, mia, ready, signed_in

__all__ = ["base", "document", "files_in_memory", "mia", "ready", "signed_in"]


@pytest.fixture
def admin(transactional_db: None, make_user: Callable[..., User]) -> User:
    """Committed: each check runs in a thread, with a connection of its own."""
    return make_user("ada", is_admin=True)
