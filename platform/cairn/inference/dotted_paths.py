"""Models of other packages, named in settings by the dotted path of their class."""

import re
from importlib import import_module
from pathlib import Path
from typing import Final, TypeVar

from cairn.errors import ConfigurationError

T = TypeVar("T")
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def is_dotted(model: str) -> bool:
    return _DOTTED.fullmatch(model) is not None and not Path(model).exists()


def create_dotted(setting: str, dotted: str, base: type[T]) -> T:
    """Call the class or function `dotted` without arguments. Raises ConfigurationError."""
    module, _, name = dotted.rpartition(".")
    try:
        created = getattr(import_module(module), name)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{setting} {dotted} can't be created: {error}") from error
    if not isinstance(created, base):
        raise ConfigurationError(f"{setting} {dotted} is not a {base.__name__} of LlamaIndex")
    return created
