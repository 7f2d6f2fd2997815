"""Classes of other packages, named in settings by their dotted path."""

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from pydantic import ValidationError

from cairn.errors import ConfigurationError

T = TypeVar("T")
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_NO_OPTIONS: Final[Mapping[str, object]] = MappingProxyType({})


def is_dotted(model: str) -> bool:
    return _DOTTED.fullmatch(model) is not None and not Path(model).exists()


def create_dotted(
    setting: str,
    dotted: str,
    base: type[T],
    options: Mapping[str, object] = _NO_OPTIONS,
    *,
    secrets: Iterable[str] = (),
) -> T:
    """Call the class or function `dotted` with options.

    Raises ConfigurationError, which shows none of the secrets among the options.
    """
    if _DOTTED.fullmatch(dotted) is None:
        raise ConfigurationError(f"{setting} {dotted} is not a dotted path, such as package.module.Class.")
    module, _, name = dotted.rpartition(".")
    try:
        create = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"{setting} {dotted} can't be imported: {error}") from error
    try:
        created = create(**options)
    except Exception as error:  # noqa: BLE001 code of another package
        reason = _explain(error, secrets)
        raise ConfigurationError(f"{setting} {dotted} can't be created: {reason}") from None
    if not isinstance(created, base):
        raise ConfigurationError(f"{setting} {dotted} doesn't create an object of the class {base.__name__}")
    return created


def _explain(error: Exception, secrets: Iterable[str]) -> str:
    """Return the message without the secrets. Pydantic would quote all inputs."""
    if isinstance(error, ValidationError):
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        text = "; ".join(": ".join([*map(str, problem["loc"]), problem["msg"]]) for problem in problems)
    else:
        text = str(error) or type(error).__name__
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    return text
