"""Deployment files are complete, use safe settings, and name only settings and paths that exist.

Neither Docker nor Helm is run here: see the docs, which say so.
"""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.urls import resolve

from cairn.settings import Environment
from tests.deploy.templates import Unreadable, rendered

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "cairn"
_NOT_FOR_PEOPLE = {"CAIRN_DEBUG", "CAIRN_FAULT", "NOTIFY_SOCKET"}
SETTINGS = {name.upper() for name in Environment.model_fields} - _NOT_FOR_PEOPLE
_OTHERS = {"HF_HUB_OFFLINE", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "HOME", "PATH"}


def known(name: str) -> bool:
    return name in _OTHERS or name in SETTINGS or name.removesuffix("_FILE") in SETTINGS


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def own_services() -> dict[str, dict[str, Any]]:
    return {name: s for name, s in compose()["services"].items() if "cairn" in s["image"]}


def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


def chart(**changes: Any) -> list[dict[str, Any]]:
    given = copy.deepcopy(values())
    for path, value in changes.items():
        *way, last = path.split("__")
        place = given
        for name in way:
            place = place[name]
        place[last] = value
    return [
        d for path in sorted((CHART / "templates").glob("*.yaml")) for d in rendered(path.read_text(), given)
    ]


def pods(**changes: Any) -> dict[str, dict[str, Any]]:
    kinds = {"Deployment", "Job"}
    return {
        d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in chart(**changes) if d["kind"] in kinds
    }


# Settings


def test_example_environment_lists_each_setting_once() -> None:
    listed = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (DEPLOY / "cairn.env.example").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(SETTINGS), "deploy/cairn.env.example lists every setting once"


@pytest.mark.slow
def test_example_environment_equals_the_defaults() -> None:
    lines = (DEPLOY / "cairn.env.example").read_text().splitlines()
    assert all(line.startswith("#") for line in lines if line), "a copy changes nothing"
    for line in lines:
        found = re.fullmatch(r"#([A-Z][A-Z0-9_]*)=(.+)", line)
        if found and found[1] != "DATA_DIR":  # relative to the project folder
            name = found[1].lower()
            told = Environment.model_validate({name: found[2]})
            assert getattr(told, name) == Environment.model_fields[name].default, line


def _set_names() -> Iterator[tuple[str, str]]:
    for name, service in own_services().items():
        yield from ((f"compose {name}", key) for key in service["environment"])
    yield from (("values.yaml", key) for key in values()["settings"])
    for name, pod in pods().items():
        yield from ((name, each["name"]) for c in pod["containers"] for each in c.get("env", ()))
    for unit in (DEPLOY / "systemd").glob("*.service"):
        for line in re.findall(r"^Environment=(.*)$", unit.read_text(), re.MULTILINE):
            yield from ((unit.name, pair.partition("=")[0]) for pair in line.split())
    image = (DEPLOY / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    for name in re.findall(r"^(?:ENV|   ) +([A-Z_]+)=", image, re.MULTILINE):
        yield "Dockerfile", name


def test_deployment_files_set_only_known_settings() -> None:
    assert [(where, name) for where, name in _set_names() if not known(name)] == []
    assert len(list(_set_names())) > 40


def test_values_of_settings_are_valid() -> None:
    assert all(isinstance(value, str) for value in values()["settings"].values())
    Environment.model_validate({name.lower(): value for name, value in values()["settings"].items()})


def test_no_deployment_trusts_a_whole_network_of_pods() -> None:
    """Clients at a trusted address can claim to be any client."""
    assert values()["settings"]["TRUSTED_PROXIES"] == ""
    empty = Environment.model_validate({"trusted_proxies": ""})
    assert all(network.is_loopback for network in empty.trusted_proxies)
    proxy = compose()["services"]["proxy"]["networks"]["inside"]["ipv4_address"]
    assert compose()["services"]["web"]["environment"]["TRUSTED_PROXIES"] == proxy


# The image


def test_image_copies_existing_sources_and_runs_unprivileged() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [line.split()[1:-1] for line in text.splitlines() if re.match(r"COPY (?!--from)", line)]
    sources = {source for line in copied for source in line}
    assert {"manage.py", "platform", "ingestion", "retrieval", "web", "docs"} <= sources
    assert all((ROOT / source).exists() for source in sources)
    allowed = {
        line.removeprefix("!") for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    }
    assert sources <= allowed, "else the build does not see them"
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    user = re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    assert user == [("10001", "10001")]
    last = text.rpartition("\nFROM ")[2]
    assert "HEALTHCHECK" in last
    assert "pip install" not in last, "what runs has what it needs"
    assert re.search(r'^ENTRYPOINT \["python", "manage.py"\]$', last, re.MULTILINE)


# Compose


def test_compose_has_every_process_and_its_dependencies() -> None:
    found = compose()["services"]
    assert {"web", "worker-interactive", "worker-bulk", "beat", "migrate"} <= own_services().keys()
    assert {"postgres", "valkey", "qdrant", "proxy"} <= found.keys()
    assert {name for name, s in found.items() if "gpu" in s.get("profiles", ())} == {"vllm", "worker-cuda"}
    for name, service in own_services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].partition(":")[0] != "0", name
        assert service["networks"] == ["inside"], name
        assert service["healthcheck"], name


def test_only_the_compose_proxy_is_connected_to_outside() -> None:
    found = compose()
    assert found["networks"]["inside"]["internal"] is True
    assert [name for name, service in found["services"].items() if "ports" in service] == ["proxy"]
    assert [name for name, s in found["services"].items() if "outside" in s["networks"]] == ["proxy"]


def test_compose_references_exist() -> None:
    found = compose()
    for name, service in found["services"].items():
        for secret in service.get("secrets", ()):
            assert secret in found["secrets"], (name, secret)
        for key, value in (service.get("environment") or {}).items():
            if str(value).startswith("/run/secrets/"):
                assert value.rpartition("/")[2] in service["secrets"], (name, key)
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            there = source in found["volumes"] or source.startswith("${") or (DEPLOY / source).exists()
            assert there, (name, volume)
        assert set(service.get("depends_on", ())) <= found["services"].keys(), name


# The chart


def test_chart_has_each_kind() -> None:
    kinds = [document["kind"] for document in chart(ingress__enabled=True)]
    assert {
        "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy",
        "PodDisruptionBudget", "Service", "ServiceAccount",
    } == set(kinds)  # fmt: skip
    assert {
        "docs-web",
        "docs-worker-interactive",
        "docs-worker-bulk",
        "docs-beat",
        "docs-migrate",
    } == pods().keys()
    assert "Ingress" not in {document["kind"] for document in chart()}
    hooks = [d["metadata"].get("annotations", {}).get("helm.sh/hook") for d in chart() if d["kind"] == "Job"]
    assert hooks == ["post-install,pre-upgrade"]


@pytest.mark.parametrize("changes", [{}, {"files__sharedClaim": "x", "models__existingClaim": "y"}])
def test_pods_may_do_little(changes: dict[str, Any]) -> None:
    for name, pod in pods(**changes).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        mounted = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name
            assert {"secretRef": {"name": "cairn"}} in container["envFrom"], name
            assert {mount["name"] for mount in container["volumeMounts"]} == mounted, name
    if changes:
        volumes = {v["name"]: v for v in pods(**changes)["docs-web"]["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == "x"


def test_probes_ask_paths_that_answer() -> None:
    containers = [(name, each) for name, pod in pods().items() for each in pod["containers"]]
    probes = [(name, each, key) for name, each in containers for key in each if key.endswith("Probe")]
    assert {name for name, _, _ in probes} == {"docs-web", "docs-worker-interactive", "docs-worker-bulk"}
    for _, container, kind in probes:
        ports = {port["name"] for port in container["ports"]}
        probe = container[kind].get("httpGet") or container[kind]["tcpSocket"]
        assert probe["port"] in ports
    web = pods()["docs-web"]["containers"][0]
    for kind, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz?part=process")):
        assert web[kind]["httpGet"]["path"] == path
        assert resolve(path.partition("?")[0]).func.__name__ == path.partition("?")[0].strip("/")


def test_started_commands_exist() -> None:
    commands = get_commands().keys()
    started = {pod["containers"][0]["args"][0] for pod in pods().values()}
    started |= {service["command"][0] for service in own_services().values()}
    for unit in (DEPLOY / "systemd").glob("*.service"):
        started |= set(re.findall(r"^ExecStart=\S+ manage\.py (\w+)", unit.read_text(), re.MULTILINE))
    assert started == {"web", "worker", "beat", "migrate", "up"}
    assert started <= commands


def test_network_policy_allows_only_named_peers_and_ports() -> None:
    (policy,) = [document["spec"] for document in chart() if document["kind"] == "NetworkPolicy"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    for rule in policy["egress"]:
        assert rule["ports"], rule
        for peer in rule["to"]:
            assert peer.get("podSelector") or peer.get("namespaceSelector"), "all of it"
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {
        53,
        5432,
        6379,
        6333,
        8000,
    }
    labels = policy["podSelector"]["matchLabels"]
    for document in chart():
        if document["kind"] in {"Deployment", "Job"}:
            assert labels.items() <= document["spec"]["template"]["metadata"]["labels"].items()


def test_autoscaled_deployments_have_no_replica_count() -> None:
    scaled = {d["spec"]["scaleTargetRef"]["name"] for d in chart() if d["kind"] == "HorizontalPodAutoscaler"}
    assert scaled == {"docs-web", "docs-worker-bulk"}
    for document in chart():
        if document["kind"] == "Deployment":
            assert ("replicas" in document["spec"]) != (document["metadata"]["name"] in scaled)
    beat = [d for d in chart() if d["metadata"]["name"] == "docs-beat"]
    assert beat[0]["spec"]["replicas"] == 1


def test_selectors_match_their_pods() -> None:
    made = {d["metadata"]["name"]: d for d in chart() if d["kind"] == "Deployment"}
    for deployment in made.values():
        chosen = deployment["spec"]["selector"]["matchLabels"]
        assert chosen == deployment["spec"]["template"]["metadata"]["labels"]
    web = made["docs-web"]["spec"]["template"]["metadata"]["labels"]
    for document in chart():
        if document["kind"] == "Service":
            assert document["spec"]["selector"].items() <= web.items()
        if document["kind"] == "PodDisruptionBudget":
            assert document["spec"]["selector"]["matchLabels"].items() <= web.items()


def test_invalid_templates_are_detected() -> None:
    for text in [
        "a: {{ .Values.nowhere }}",
        '{{ include "x" . }}',
        "{{- end }}",
        "a: {{ .Values.a | upper }}",
    ]:
        with pytest.raises((Unreadable, KeyError)):
            rendered(text, {"a": 1})


def test_subcharts_are_off() -> None:
    told = yaml.safe_load((CHART / "Chart.yaml").read_text())
    for dependency in told["dependencies"]:
        name, _, key = dependency["condition"].partition(".")
        assert values()[name] == {key: False}


# systemd


def test_systemd_units_are_confined_and_reference_existing_units() -> None:
    units = {path.name: path.read_text() for path in (DEPLOY / "systemd").glob("*.service")}
    assert units.keys() == {
        "cairn.service", "cairn-web.service", "cairn-worker@.service", "cairn-beat.service",
        "cairn-migrate.service",
    }  # fmt: skip
    for name, text in units.items():
        for line in (
            "User=cairn", "NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "UMask=0077",
            "StateDirectory=cairn", "CapabilityBoundingSet=",
        ):  # fmt: skip
            assert f"\n{line}\n" in text, (name, line)
        for wanted in re.findall(r"(cairn-[\w@]+\.service)", text):
            assert wanted in units, (name, wanted)
