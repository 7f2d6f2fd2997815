"""Labels for the knowledge base of a source, and whether it is official."""

from collections.abc import Callable
from typing import Final, Protocol

from django.utils.translation import gettext_noop

from web.api.schemas import Citation, Hit

OWNED: Final = gettext_noop("{name} (unofficial, owner: {owner})")
OWNERLESS: Final = gettext_noop("{name} (unofficial)")


class Named(Protocol):
    @property
    def username(self) -> str: ...


def provenance(source: Citation | Hit, translate: Callable[[str], str] = str) -> str:
    """Return the name of the knowledge base, and for an unofficial one its status and owner."""
    owner = source.knowledge_base_owner
    return provenance_of(source.knowledge_base_name, owner, source.official, translate)


def provenance_of(
    name: str, owner: Named | None, official: bool, translate: Callable[[str], str] = str
) -> str:
    if official:
        return name
    if owner is None:
        return translate(OWNERLESS).format(name=name)
    return translate(OWNED).format(name=name, owner=owner.username)
