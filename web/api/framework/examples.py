"""Examples of requests and responses, which a test records through HTTP and compares with the description."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

EXAMPLES_FILE: Final = Path(__file__).with_name("examples.json")
PROBLEM: Final = "problem"
"""The key of the example of a problem document."""
_JSON: Final = "application/json"


@cache
def load_examples() -> dict[str, dict[str, Any]]:
    """Return examples by the id of the operation."""
    found: dict[str, dict[str, Any]] = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    return found


def add_examples(operation_id: str, details: dict[str, Any]) -> None:
    """Add the example to the description of an operation."""
    example = load_examples().get(operation_id, {})
    if "request" in example:
        details["requestBody"]["content"][_JSON]["example"] = example["request"]
    if "response" in example:
        for status, answer in details["responses"].items():
            if str(status) == example["status"]:
                answer["content"][_JSON]["example"] = example["response"]
