"""Converted models, once for all servers that tests start: a first start spends most of its time on them."""

import hashlib
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

_CODE: Final = Path(__file__).resolve().parents[1] / "platform" / "cairn" / "inference"
_PACKAGES: Final = ("openvino", "openvino-genai", "optimum-intel", "sentence-transformers", "torch")


def _folder() -> Path:
    """Another one for other code or other packages: what an earlier version made is not what is tested."""
    digest = hashlib.sha256("".join(map(version, _PACKAGES)).encode())
    for path in sorted(_CODE.rglob("*.py")):
        digest.update(path.read_bytes())
    return Path(tempfile.gettempdir()) / f"cairn-tests-models-{os.getuid()}-{digest.hexdigest()[:12]}"


_MODELS: Final = _folder()


def share_models(data_dir: Path) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / "models").exists():
        _MODELS.mkdir(mode=0o700, exist_ok=True)
        (data_dir / "models").symlink_to(_MODELS)
