"""Classes of other packages, named in settings by their dotted path."""

import re
from importlib import import_module
from pathlib import Path
from typing import Final, TypeVar

from cairn.errors import ConfigurationError

T = TypeVar("T")
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def is_dotted(model: str) -> bool:
    return _DOTTED.fullmatch(model) is not None and not Path(model).exists()


def create_dotted(setting: str, dotted: str, base: type[T], **options: object) -> T:
    """Call the class or function `dotted` with options. Raises ConfigurationError, which never shows them."""
    module, _, name = dotted.rpartition(".")
    try:
        create = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{setting} {dotted} can't be imported: {error}") from error
    try:
        created = create(**options)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        reason = type(error).__name__ if options else error
        raise ConfigurationError(f"{setting} {dotted} can't be created: {reason}") from error
    if not isinstance(created, base):
        raise ConfigurationError(f"{setting} {dotted} is not a {base.__name__}")
    return created
