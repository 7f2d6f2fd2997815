"""SCIM's own checks, against a running server."""

from typing import Any

import httpx
import pytest
from scim2_client import BaseSyncSCIMClient
from scim2_tester import Status, check_server

from tests.web.scim.conftest import Directory, directory_for

OURS = {
    ("search_with_attributes", None),  # lists are searched by GET only
    ("check_remove_attribute", "active"),  # a user always may sign in or not: removing it changes nothing
    ("check_add_attribute", "emails"),  # only one address is stored, the primary one,
    ("check_replace_attribute", "emails"),  # also if it was sent as another
}


class HttpxClient(BaseSyncSCIMClient):
    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self.client = client

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return endpoint.startswith(("/", str(self.client.base_url)))

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        return self.client.request(method, url, **options)


@pytest.fixture
def served(live_server: Any) -> "tuple[Any, Directory]":
    return live_server, directory_for("ada", is_admin=True, scopes=["admin"])


@pytest.mark.slow
def test_scim_service_conforms(served: "tuple[Any, Directory]") -> None:
    server, directory = served
    headers = {"Authorization": f"Bearer {directory.key}"}
    with httpx.Client(base_url=f"{server.url}/scim/v2", headers=headers, trust_env=False) as client:
        results = check_server(HttpxClient(client))
    bad = [
        result
        for result in results
        if result.status not in {Status.SUCCESS, Status.SKIPPED}
        and (result.title, result.data.get("urn") if isinstance(result.data, dict) else None) not in OURS
    ]
    assert not bad, "\n\n".join(f"{each.status} {each.title}: {each.reason}" for each in bad)
    assert sum(result.status is Status.SUCCESS for result in results) > 40
