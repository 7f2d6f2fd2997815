"""Warm-up of models that do not need the database. Loaded by name in `web.processes.warmup`."""

from collections.abc import Callable

from llama_index.core.llms import ChatMessage

from cairn.inference import registry
from cairn.inference.chat.prompt_messages import ClearedMessages
from cairn.inference.reranking import reranks
from cairn.settings import environment


def language_model() -> str:
    model = registry.chat_model()
    with model.stream(ClearedMessages([ChatMessage("Hello")]), max_tokens=1) as answer:
        for _ in answer:
            pass
    return model.name


def reranker() -> str:
    model = registry.reranker()
    model.probe()
    return model.name


def answer_reader() -> str:
    return registry.answer_reader().name


def grounding_model() -> str:
    return registry.language_inference().name


def _list_optional_loaders() -> dict[str, Callable[[], str]]:
    """Return loaders of configured optional models."""
    given = environment()
    loads = {
        "Reranker": (reranks(given), reranker),
        "Reader model": (given.answerability_model, answer_reader),
        "Grounding model": (given.grounding_model, grounding_model),
    }
    return {name: load for name, (enabled, load) in loads.items() if enabled}


LOAD = {"Language model": language_model, **_list_optional_loaders()}
