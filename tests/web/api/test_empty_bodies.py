"""Operations without fields take a request without a body, as a button on a page sends it."""

import pytest

from tests.web.api.conftest import Caller


@pytest.mark.parametrize(("path", "status"), [("/access-checks", 202), ("/index/rollback", 409)])
def test_no_body_is_needed(admin: Caller, path: str, status: int) -> None:
    assert admin.post(path).status_code == status


@pytest.mark.parametrize("path", ["/access-checks", "/index/rollback"])
def test_unknown_fields_are_refused(admin: Caller, path: str) -> None:
    assert admin.post(path, {"force": True}).status_code == 422
