"""Models on this machine, by name or by the path of their folder."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError

from cairn.errors import ConfigurationError

CONFIG = "config.json"
CANNOT_LOAD = (
    OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, AttributeError, SafetensorError
)  # fmt: skip
"""Exceptions that transformers raises for missing, truncated or unrelated files."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A transformers model that `setting` names."""

    setting: str
    name: str
    path: Path

    @classmethod
    def of(cls, setting: str, model: str) -> "ModelFolder":
        """`model`: path of its folder, or the name under which the Hugging Face cache of this machine has it.

        Nothing is ever downloaded. Raises ConfigurationError.
        """
        if path := _on_disk(model):
            return cls(setting, path.name, path)
        if cached := _find_in_cache(model):
            return cls(setting, model, cached)
        raise ConfigurationError(
            f"{setting} {model!r} is neither a folder with a model (config.json) nor the name of one in the "
            "Hugging Face cache of this machine"
        )

    def build_error(self, why: object) -> ConfigurationError:
        return ConfigurationError(f"{self.setting} {self.name} cannot be used: {why}")


def _on_disk(model: str) -> Path | None:
    try:
        path = Path(model).expanduser().resolve()
        return path if (path / CONFIG).is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, no home: no path at all
        return None


def _find_in_cache(name: str) -> Path | None:
    try:
        config = try_to_load_from_cache(name, CONFIG)
    except HFValidationError:  # no name that the hub would have
        return None
    return Path(config).parent if isinstance(config, str) else None
