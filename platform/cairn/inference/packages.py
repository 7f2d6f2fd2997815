"""Model files that come as PyPI packages."""

from importlib.util import find_spec
from pathlib import Path

from cairn.errors import ConfigurationError


def package_file(package: str, name: str) -> Path:
    """Path of `name` inside an installed package, which is not imported.

    The packages' own code wants libraries that Cairn does not need.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (path := Path(folder) / name).exists():
            return path
    raise ConfigurationError(f"The model {name} is missing: install the package {package.replace('_', '-')}")
