"""The model that needs no table, made warm. Loaded by name in `web.runtime.loading`."""

from llama_index.core.llms import ChatMessage

from cairn.inference import models


def language_model() -> str:
    model = models.chat_model()
    with model.stream([ChatMessage("Hello")], max_tokens=1) as answer:
        for _ in answer:
            pass
    return model.name


LOAD = {"Language model": language_model}
