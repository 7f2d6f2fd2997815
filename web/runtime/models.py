"""The models, made warm. Loaded by name in `web.runtime.loading`."""

from llama_index.core.llms import ChatMessage

from cairn.inference import models


def embedding_model() -> str:
    model = models.embedder()
    model.embed_query("warm")
    return model.model


def language_model() -> str:
    model = models.chat_model()
    with model.stream([ChatMessage("Hello")], max_tokens=1) as answer:
        for _ in answer:
            pass
    return model.name


LOAD = {"Embedding model": embedding_model, "Language model": language_model}
