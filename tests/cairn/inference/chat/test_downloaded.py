"""The model that is installed on request, if it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core.llms import ChatMessage

from cairn.inference.chat.openvino import OpenVinoLLM, convert_gguf
from cairn.settings import ROOT
from cairn.settings.chat_models import DOWNLOADABLE

pytestmark = [pytest.mark.models, pytest.mark.slow]
MODEL = DOWNLOADABLE["qwen2.5-coder-1.5b"]


@pytest.fixture(scope="module")
def qwen(models_folder: Path) -> Iterator[OpenVinoLLM]:
    gguf = MODEL.file_in(ROOT / "var")
    if not gguf.exists():
        pytest.skip(f"{MODEL.name} is not installed: run manage.py models install {MODEL.name}")
    llm = OpenVinoLLM.load(convert_gguf(gguf, models_folder), name=MODEL.name)
    yield llm
    llm.generation.close()


def test_downloaded_model_answers_from_a_passage(qwen: OpenVinoLLM) -> None:
    question = (
        "Employees have 28 days of leave a year.\n\nHow many days of leave do I have? Answer in one sentence."
    )
    assert "28" in "".join(qwen.open_stream([ChatMessage(question)], 40))
    assert qwen.context_tokens == 32768
