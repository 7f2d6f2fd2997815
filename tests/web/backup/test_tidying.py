"""Work in progress during a backup has ended in the restored install."""

import pytest

from cairn.access.models import AccessCheck, CheckState
from web.backup.restore import _tidy

pytestmark = pytest.mark.django_db


def test_restored_access_check_in_progress_has_failed() -> None:
    running = AccessCheck.objects.create()
    passed = AccessCheck.objects.create(state=CheckState.PASSED)
    _tidy()
    running.refresh_from_db()
    passed.refresh_from_db()
    assert (running.state, running.error) == (CheckState.FAILED, "The check was interrupted.")
    assert running.ended_at is not None
    assert passed.state == CheckState.PASSED
