"""A directory that provisions people and groups with an admin's key."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client

from cairn.accounts.models import User
from cairn.accounts.services import api_key_create, user_create

Response = Any
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Directory:
    user: User
    key: str
    client: Client = field(default_factory=Client)

    def send(
        self, method: str, path: str, body: Any = None, *, query: Any = None, raw: bytes = b""
    ) -> Response:
        data = raw if body is None else json.dumps(body).encode()
        return self.client.generic(
            method,
            f"/scim/v2{path}",
            data,
            content_type="application/scim+json",
            headers={"Authorization": f"Bearer {self.key}"},
            query_params=query,
        )

    def get(self, path: str, **query: str) -> Response:
        return self.send("GET", path, query=query)

    def find(self, path: str, text: str) -> list[str]:
        """Ids of what the filter finds."""
        response = self.get(path, filter=text)
        assert response.status_code == 200, response.content
        return [each["id"] for each in response.json()["Resources"]]

    def patch(self, path: str, *operations: dict[str, Any], **query: str) -> Response:
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": operations}, query=query)

    def user_made(self, name: str, /, **fields: Any) -> Any:
        response = self.send("POST", "/Users", {"schemas": [USER], "userName": name, **fields})
        assert response.status_code == 201, response.content
        return response.json()

    def group_made(self, name: str, members: Sequence[str] = (), /, **fields: Any) -> Any:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": each} for each in members]}
        response = self.send("POST", "/Groups", body | fields)
        assert response.status_code == 201, response.content
        return response.json()

    def members(self, group: str) -> set[str]:
        return {each["value"] for each in self.get(f"/Groups/{group}").json().get("members", ())}


def assert_error(response: Response, status: int, kind: str | None = None) -> Any:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/scim+json"
    body = response.json()
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert body["status"] == str(status)
    assert body.get("scimType") == kind
    return body


def directory_for(username: str, *, is_admin: bool, **limits: Any) -> Directory:
    user = user_create(username=username, is_admin=is_admin)
    _, key = api_key_create(user=user, label="directory", **limits)
    return Directory(user, key)


@pytest.fixture
def directory(db: None) -> Directory:
    return directory_for("ada", is_admin=True, scopes=["admin"])
