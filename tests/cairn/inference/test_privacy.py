"""The model libraries open no connections of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from cairn.inference.chat.openvino import OpenVinoLLM
from cairn.inference.embedding.local import LocalEmbedder


def run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_the_models_opens_no_connection(outgoing: Path) -> None:
    run("import cairn.inference.registry")
    assert outgoing.read_text() == ""


@pytest.mark.slow
@pytest.mark.models
def test_export_and_conversion_open_no_connection(
    embedder: LocalEmbedder, smollm: OpenVinoLLM, outgoing: Path
) -> None:
    assert outgoing.read_text() == ""


def test_connection_recorder_notices_a_connection(outgoing: Path) -> None:
    run("import socket; socket.getaddrinfo('127.0.0.1', 9)")
    noted = outgoing.read_text()
    outgoing.write_text("")
    assert "socket.getaddrinfo" in noted
