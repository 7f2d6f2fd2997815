"""Admins who register models, test and activate them."""

from typing import Any

from tests.cairn.inference.server import FakeServer
from tests.web.api.conftest import Caller

KEY = "sk-secret-4711"


def register(admin: Caller, server: FakeServer, name: str = "mistral", **more: Any) -> dict[str, Any]:
    body = {"name": name, "base_url": server.url, "model": "mistral", "licence": "apache-2.0", **more}
    response = admin.post("/models", body)
    assert response.status_code == 201, response.content
    found: dict[str, Any] = response.json()
    return found


def check(admin: Caller, name: str = "mistral") -> dict[str, Any]:
    found = admin.post(f"/models/{name}/test").json()
    assert found["problem"] == ""
    model: dict[str, Any] = found["model"]
    return model


def activate(admin: Caller, model: dict[str, Any], **more: Any) -> Any:
    return admin.post(f"/models/{model['name']}/activate", {"version": model["version"], **more})
