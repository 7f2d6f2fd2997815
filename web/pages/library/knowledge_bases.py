"""Knowledge bases as shown on pages."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Sum
from django.utils.translation import gettext, gettext_noop

from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for, role_in, roles_in
from cairn.access.scope import Principal
from cairn.library.models import KnowledgeBase

ROLE_LABELS = {
    Role.READER: gettext_noop("Reader"),
    Role.EDITOR: gettext_noop("Editor"),
    Role.MANAGER: gettext_noop("Manager"),
}


@dataclass(frozen=True, slots=True)
class BaseCard:
    """A knowledge base. `documents` and `chunks` count those the user may read."""

    id: UUID
    name: str
    slug: str
    description: str
    sensitivity: str
    grounding: str
    outside_models: str
    retention_days: int | None
    role: Role
    documents: int
    chunks: int
    official: bool
    owner: UUID | None
    owner_name: str
    chosen: bool = False

    @property
    def role_label(self) -> str:
        return gettext(ROLE_LABELS[self.role])

    @property
    def edits(self) -> bool:
        return self.role.allows(Role.EDITOR)

    @property
    def manages(self) -> bool:
        return self.role.allows(Role.MANAGER)


def base_cards(
    principal: Principal, *, role: Role = Role.READER, chosen: str | Collection[str] = ""
) -> list[BaseCard]:
    """Return all knowledge bases in which the principal has the role, by name.

    `chosen`: the slug of the selected one, or the ids of several.
    """
    bases = knowledge_bases_for(principal, role=role).select_related("owner")
    return _cards(principal, bases.order_by("name", "id"), roles_in(principal), chosen)


def base_card(principal: Principal, base: KnowledgeBase) -> BaseCard:
    role = role_in(principal, base) or Role.READER
    return _cards(principal, [base], {base.id: role}, "")[0]


def _cards(
    principal: Principal,
    bases: Iterable[KnowledgeBase],
    roles: dict[UUID, Role],
    chosen: str | Collection[str],
) -> list[BaseCard]:
    counts = _counts(principal)
    return [
        BaseCard(
            base.id,
            base.name,
            base.slug,
            base.description,
            base.sensitivity,
            base.grounding,
            base.outside_models,
            base.retention_days,
            roles.get(base.id, Role.READER),
            *counts.get(base.id, (0, 0)),
            official=base.official,
            owner=base.owner_id,
            owner_name=base.owner.label if base.owner else "",
            chosen=base.slug == chosen if isinstance(chosen, str) else str(base.id) in chosen,
        )
        for base in bases
    ]


def _counts(principal: Principal) -> dict[UUID, tuple[int, int]]:
    rows = documents_for(principal).order_by().values("knowledge_base")
    counted = rows.annotate(documents=Count("id"), chunks=Sum("active_version__chunk_count", default=0))
    return {row["knowledge_base"]: (row["documents"], row["chunks"]) for row in counted}
