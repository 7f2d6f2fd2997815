"""Cairn with a real vLLM as its language model: `make test-vllm`."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from llama_index.core.llms import ChatMessage, MessageRole

from cairn.errors import ConfigurationError
from cairn.inference.chat import LlamaIndexChatModel, open_chat_model
from cairn.settings import Environment
from tests.installs import Install, ended, until
from tests.servers import ROOT, run_manage
from tests.vllm.adapter import FACTS
from tests.vllm.test_profiles import FLAGS, FOLDER, PROFILES
from tests.web.api.conftest import events

URL = os.environ["VLLM_TEST_URL"]
SETTINGS = {"LLM_BASE_URL": URL, "LLM_MODEL": "smollm2", "LLM_CONTEXT_TOKENS": "4096"}
QUESTION = "How much may a hotel in Lisbon cost?"
FACT = "140 euros"
RULES = """# Hotels

A hotel in Lisbon costs at most 140 euros a night. Breakfast is paid by the employee.

# Bicycles

Bicycles are parked behind the house. The key hangs at the reception.
"""
pytestmark = pytest.mark.models


def counted(name: str, **labels: str) -> float:
    """A figure of vLLM's own, over all that has the labels."""
    text = httpx.get(URL.removesuffix("/v1") + "/metrics", trust_env=False, timeout=30).text
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = [line for line in text.splitlines() if line.startswith(f"vllm:{name}{{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(each in line for each in wanted))


def running() -> float:
    return counted("num_requests_running") + counted("num_requests_waiting")


@pytest.fixture(scope="module")
def cairn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    with ended(Install(tmp_path_factory.mktemp("cairn"), **SETTINGS)) as install:
        install.start()
        install.upload_all({"rules.md": RULES})
        install.wait_settled()
        yield install


@pytest.fixture
def model() -> Iterator[LlamaIndexChatModel]:
    given = {name.lower(): value for name, value in SETTINGS.items()}
    opened = open_chat_model(Environment(**given))  # type: ignore[arg-type]  # which reads the numbers
    yield opened
    opened.close()


def asked(cairn: Install, question: str = QUESTION) -> dict[str, Any]:
    response = cairn.ask("POST", "/ask", json={"question": question})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def read_chats() -> list[list[dict[str, str]]]:
    lines = Path(os.environ["VLLM_TEST_CHATS"]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def complete(model: str, messages: list[dict[str, str]]) -> str:
    body = {"model": model, "messages": messages, "max_tokens": 60, "temperature": 0}
    response = httpx.post(f"{URL}/chat/completions", json=body, trust_env=False, timeout=300)
    return str(response.raise_for_status().json()["choices"][0]["message"]["content"])


def test_vllm_accepts_every_profile_and_listed_flag() -> None:
    profiles = [str(FOLDER / f"{name}.yaml") for name in PROFILES]
    command = [os.environ["VLLM_TEST_PYTHON"], str(Path(__file__).with_name("flags.py")), *profiles]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout[done.stdout.index("{\n") :]) == FLAGS


def test_answer_cites_its_passages(cairn: Install) -> None:
    answer = asked(cairn)
    assert answer["model"] == "smollm2"
    assert answer["mode"] == "generated"
    assert answer["verdict"] in {"supported", "partial"}
    assert FACT in answer["answer"]
    assert answer["citations"][0]["quote"] in RULES
    assert answer["usage"]["completion_tokens"] > 0


def test_adapter_is_selected_by_its_name() -> None:
    """The adapter has learned to answer with the quotes; the base model, beside it, hasn't."""
    chats = read_chats()
    assert len(chats) >= len(FACTS) / 2
    learned = dict.fromkeys(("ours", "smollm2"), 0)
    for *prompt, answer in chats:
        for model in learned:
            learned[model] += complete(model, prompt).strip() == answer["content"]
    assert learned["ours"] > len(chats) / 2 > learned["smollm2"]


def test_adapter_answers(cairn: Install, tmp_path: Path) -> None:
    with ended(cairn.copied(tmp_path / "adapter")) as install:
        install.start(LLM_MODEL="ours")
        answer = asked(install)
    assert (answer["model"], answer["mode"]) == ("ours", "generated")
    assert answer["verdict"] in {"supported", "partial"}
    assert FACT in answer["answer"]


def test_answer_is_streamed(cairn: Install) -> None:
    found = events(cairn.ask("POST", "/ask", json={"question": QUESTION, "stream": True}).content)
    names = [name for name, _ in found]
    assert names[:2] == ["start", "sources"]
    assert names[-1] == "done"
    text = "".join(data["text"] for name, data in found if name == "delta")
    assert text.strip() == found[-1][1]["answer"].strip()


def test_question_without_an_answer_in_the_documents_is_not_sent(cairn: Install) -> None:
    before = counted("prompt_tokens_total")
    answer = asked(cairn, "Who won the chess championship in 1972?")
    assert (answer["verdict"], answer["citations"]) == ("refused", [])
    assert counted("prompt_tokens_total") == before


def test_common_prompt_prefix_is_computed_once(cairn: Install) -> None:
    asked(cairn)
    before = counted("prefix_cache_hits_total")
    asked(cairn)
    assert counted("prefix_cache_hits_total") - before >= 64


def test_openai_client_gets_whole_and_streamed_answers(cairn: Install) -> None:
    assert cairn.server is not None
    with httpx.Client(trust_env=False, timeout=300) as http:
        key = (cairn.data_dir / "test_key").read_text(encoding="ascii")
        client = openai.OpenAI(base_url=f"{cairn.server.url}/v1", api_key=key, http_client=http)
        messages: Any = [{"role": "user", "content": QUESTION}]
        whole = client.chat.completions.create(model="cairn", messages=messages)
        assert FACT in str(whole.choices[0].message.content)
        chunks = client.chat.completions.create(model="cairn", messages=messages, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert FACT in text


def test_stopping_frees_the_engine(model: LlamaIndexChatModel) -> None:
    before = counted("generation_tokens_total")
    tale = [ChatMessage("Tell a very long tale of a lighthouse. " * 3, role=MessageRole.USER)]
    with model.stream(tale, max_tokens=3000) as stream:
        assert next(stream)
        assert running() == 1
    until(lambda: running() == 0, patience=20)
    assert counted("generation_tokens_total") - before < 300


def test_waiting_question_shows_its_position(cairn: Install, tmp_path: Path) -> None:
    """With one slot, the second of two questions is queued."""
    with ended(cairn.copied(tmp_path / "one")) as install:
        install.start(LLM_MAX_CONCURRENCY="1")
        bodies: list[bytes] = []

        def ask() -> None:
            body = {"question": QUESTION, "stream": True}
            bodies.append(install.ask("POST", "/ask", json=body).content)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        told = [dict(events(body)) for body in bodies]
    assert all("done" in each for each in told)
    assert any("waiting" in each for each in told)


def test_model_check_succeeds(cairn: Install) -> None:
    done = run_manage(cairn.data_dir, "models", "check", "--json", **SETTINGS)
    assert done.returncode == 0, done.stdout + done.stderr
    chat = json.loads(done.stdout)["models"][0]
    assert (chat["ok"], chat["served"], chat["context_tokens"]) == (True, ["smollm2", "ours"], 4096)
    assert (chat["system_role"], chat["alternates"]) == (True, True)


def test_model_check_reports_a_context_that_is_too_large(cairn: Install) -> None:
    settings = {**SETTINGS, "LLM_CONTEXT_TOKENS": "8192"}
    done = run_manage(cairn.data_dir, "models", "check", **settings)
    assert done.returncode == 3
    assert "set it to 4096" in done.stdout


def test_overlong_prompt_is_rejected_with_the_message_of_vllm(model: LlamaIndexChatModel) -> None:
    with pytest.raises(ConfigurationError) as caught:
        list(model.stream([ChatMessage("word " * 5000)], max_tokens=16))
    assert "4096" in caught.value.message


def test_server_killed_during_an_answer_is_reported_and_passages_quoted(
    cairn: Install, model: LlamaIndexChatModel
) -> None:
    """The last one: the server is killed."""
    stream = model.stream([ChatMessage("Tell a very long tale of a lighthouse.")], max_tokens=3000)
    assert next(stream)
    os.killpg(int(os.environ["VLLM_TEST_PID"]), signal.SIGKILL)
    with pytest.raises(Exception, match="The language model smollm2 at"):
        list(stream)
    answer = asked(cairn)
    assert (answer["mode"], answer["verdict"]) == ("extractive", "partial")
    assert FACT in answer["answer"]
