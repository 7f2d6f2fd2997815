"""Programs that were written for the API before 1.0.0 go on working: it only grew since."""

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.web.api.compatibility import find_removals
from web.api.api import api

SAVED = Path(__file__).with_name("openapi-0.1.json.gz")
"""The description of 0.1.0. Replace it only when a new major version may break programs."""


@pytest.fixture(scope="module")
def saved() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(SAVED.read_bytes()))
    return found


def test_openapi_description_differs_only_by_additions(saved: dict[str, Any]) -> None:
    described = json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/"), default=str))
    assert list(find_removals(saved, described)) == []


def _remove_operation(described: dict[str, Any]) -> None:
    del described["paths"]["/api/v1/search"]


def _remove_field(described: dict[str, Any]) -> None:
    del described["components"]["schemas"]["Hit"]["properties"]["title"]


def _require_field(described: dict[str, Any]) -> None:
    described["components"]["schemas"]["Question"]["required"].append("conversation")


def _change_type(described: dict[str, Any]) -> None:
    described["components"]["schemas"]["Hit"]["properties"]["title"] = {"type": "integer"}


@pytest.mark.parametrize("change", [_remove_operation, _remove_field, _require_field, _change_type])
def test_removal_from_the_description_is_found(
    saved: dict[str, Any], change: Callable[[dict[str, Any]], None]
) -> None:
    changed = copy.deepcopy(saved)
    change(changed)
    assert list(find_removals(saved, changed))


def test_description_compared_with_itself_has_no_removals(saved: dict[str, Any]) -> None:
    assert list(find_removals(saved, saved)) == []
