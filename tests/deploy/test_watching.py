"""Dashboard and alert rules ask for figures that Cairn has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_NAME = re.compile(r"\bcairn_\w+")
_LABEL = re.compile(r"(cairn_\w+)\{([^}]*)\}")
_GIVEN = {"job", "instance", "le"}  # by Prometheus


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "cairn.json").read_text())
    return found


def rules() -> list[dict[str, Any]]:
    found = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]
    yield from (rule["expr"] for rule in rules())


_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@pytest.fixture
def exposed(db: None) -> dict[str, set[str]]:
    """The labels of each name that a query may use, also of those that have not counted anything yet."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(Client().get("/metrics").content.decode()):
        if family.name.startswith("cairn_"):
            labels = set(REGISTRY._names_to_collectors[family.name]._labelnames)  # type: ignore[attr-defined]
            for suffix in _SUFFIXES.get(family.type, ()):
                found[family.name + suffix] = labels
    return found


def test_dashboards_and_alerts_use_existing_metrics_and_labels(exposed: dict[str, set[str]]) -> None:
    asked = {name for text in expressions() for name in _NAME.findall(text)}
    assert asked <= exposed.keys(), asked - exposed.keys()
    for text in expressions():
        for name, labels in _LABEL.findall(text):
            wanted = {part.strip() for part in re.findall(r"(\w+)\s*=", labels)}
            assert wanted <= exposed[name] | _GIVEN, text


def test_every_metric_is_on_a_dashboard(exposed: dict[str, set[str]]) -> None:
    """A metric without a dashboard would be useless."""
    shown = {name for text in expressions() for name in _NAME.findall(text)}
    told = {name for name in exposed if not name.endswith(("_sum", "_count", "_created"))}
    assert told - shown == {"cairn_oldest_queued_job_seconds"}, "of before: cairn_queue_age_seconds says more"


def test_panels_and_rules_are_complete() -> None:
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert all(panel["title"] and panel["targets"] and panel["fieldConfig"] for panel in panels)
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_metric_labels_contain_no_personal_data(exposed: dict[str, set[str]]) -> None:
    """Nor do they grow with what is in Cairn."""
    known = {
        "method", "route", "status", "stage", "queue", "state", "part", "verdict", "model", "code",
        "endpoint", "kind", "cause",
    }  # fmt: skip
    assert set().union(*exposed.values()) <= known
