"""The profiles in deploy/vllm are consistent with vLLM and with Cairn's settings."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from cairn.settings import Environment
from tests.servers import ROOT
from tests.vllm.memory import ROOMS

FOLDER = ROOT / "deploy" / "vllm"
PROFILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
CHATS = sorted(ROOMS)
FLAGS: dict[str, list[str]] = json.loads(Path(__file__).with_name("flags.json").read_text(encoding="utf-8"))
each = pytest.mark.parametrize("name", PROFILES)
each_chat = pytest.mark.parametrize("name", CHATS)


def profile(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def variables(name: str) -> dict[str, str]:
    lines = (FOLDER / f"{name}.env").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def test_every_profile_has_settings_and_every_settings_a_profile() -> None:
    assert {path.stem for path in FOLDER.glob("*.env")} == {*PROFILES, "vllm"}
    assert {*PROFILES} == {*CHATS, "embeddings", "reranker"}


@each
def test_vllm_knows_every_flag_and_every_value(name: str) -> None:
    for flag, value in profile(name).items():
        assert flag in FLAGS, flag
        assert not FLAGS[flag] or str(value) in FLAGS[flag], (flag, value)


@each
def test_cairn_knows_every_variable(name: str) -> None:
    found = {key.lower(): value for key, value in variables(name).items()}
    assert found.keys() <= Environment.model_fields.keys()
    Environment(**found)  # type: ignore[arg-type]  # which checks the values


@each
def test_cairn_settings_match_the_served_model(name: str) -> None:
    served, given = profile(name), variables(name)
    kind = next(iter(given)).partition("_")[0]
    address = urlsplit(given[f"{kind}_BASE_URL"])
    assert (address.hostname, address.port, address.path) == (served["host"], served["port"], "/v1")
    assert given[f"{kind}_MODEL"] == served["served-model-name"]


@each_chat
def test_context_and_concurrency_limits_match(name: str) -> None:
    served, given = profile(name), variables(name)
    assert given["LLM_CONTEXT_TOKENS"] == str(served["max-model-len"])
    assert given["LLM_MAX_CONCURRENCY"] == str(served["max-num-seqs"])
    assert served["enable-prefix-caching"] is True


@each_chat
def test_profile_fits_the_memory_of_its_gpu(name: str) -> None:
    served, room = profile(name), ROOMS[name]
    assert served["tensor-parallel-size"] == room.gpus
    assert served["gpu-memory-utilization"] == room.share
    assert room.tokens >= served["max-model-len"]


def test_adapters_are_served_together_with_their_base_model() -> None:
    served = profile("llama-3.1-8b")
    (adapter,) = map(json.loads, served["lora-modules"])
    assert adapter["base_model_name"] == served["served-model-name"]
    assert served["enable-lora"] is True


@pytest.mark.parametrize(
    "name", ["VLLM_NO_USAGE_STATS", "VLLM_DO_NOT_TRACK", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
)
def test_servers_send_no_usage_data_and_download_nothing(name: str) -> None:
    assert variables("vllm")[name] == "1"


@each_chat
def test_documented_table_matches_the_computed_one(name: str) -> None:
    text = (ROOT / "docs" / "operate" / "language-models.md").read_text(encoding="utf-8")
    assert ROOMS[name].row(name) in text.splitlines()
