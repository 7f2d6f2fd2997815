"""Programs made for OpenAI, as they are, against a running install with its real models."""

from collections.abc import Iterator

import httpx
import openai
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from tests.conftest import Server

QUESTION = "How do I upload documents?"
pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def key(cairn_server: Server) -> str:
    return cairn_server.key()


@pytest.fixture(scope="module")
def client(cairn_server: Server, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{cairn_server.url}/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.mark.slow
def test_openai_client_gets_an_answer(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    answer = client.chat.completions.create(model="cairn", messages=messages)  # type: ignore[arg-type]
    message = answer.choices[0].message
    extra = answer.model_extra or {}
    assert extra["verdict"] == "partial"  # the packaged model leaves it at quotes
    assert extra["citations"][0]["quote"]
    assert message.annotations
    place = message.annotations[0].url_citation
    assert (message.content or "")[place.start_index : place.end_index].startswith("[")
    assert answer.usage is not None


@pytest.mark.slow
def test_openai_client_streams(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="cairn",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "[1]" in text
    assert chunks[-1].usage is not None
    assert (chunks[-2].model_extra or {})["verdict"] == "partial"


def test_openai_client_lists_models_and_retrieves_one(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "cairn"
    assert client.models.retrieve(names[1]).id == names[1]


def test_errors_match_those_of_the_openai_client(client: openai.OpenAI, cairn_server: Server) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    with pytest.raises(openai.NotFoundError) as absent:
        client.chat.completions.create(model="gpt-4o", messages=messages)  # type: ignore[arg-type]
    assert absent.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="cairn", messages=[])
    with (
        openai.OpenAI(base_url=f"{cairn_server.url}/v1", api_key="wrong") as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()


@pytest.mark.slow
def test_llama_index_gets_answers_as_from_any_model(cairn_server: Server, key: str) -> None:
    with httpx.Client(timeout=60) as http:
        llm = OpenAILike(
            model="cairn",
            api_base=f"{cairn_server.url}/v1",
            api_key=key,
            is_chat_model=True,
            max_tokens=200,
            http_client=http,
        )
        assert "[1]" in str(llm.chat([ChatMessage(content=QUESTION)]).message.content)
        streamed = llm.stream_chat([ChatMessage(content=QUESTION)])
        assert "[1]" in "".join(part.delta or "" for part in streamed)
