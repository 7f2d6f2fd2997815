"""Administration pages of knowledge bases with their grants."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_safe

from cairn.access.grant_policy import groups_grantable_by, may_grant_to_everyone
from cairn.access.models import Grant, Role
from cairn.access.principals import can_create_knowledge_bases
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_named
from cairn.answers import Grounding
from cairn.errors import Forbidden
from cairn.library.models import KnowledgeBase, OutsideModels, Sensitivity
from ingestion.erasure.retention import find_expired
from retrieval.suggestions.curated import MAX_EXAMPLE_CHARACTERS, MAX_EXAMPLES, examples_of
from web.pages.library.knowledge_bases import base_card, base_cards
from web.pages.shell.decorators import fragment, number_in, page, show

SENSITIVITIES = (
    (Sensitivity.PUBLIC.value, gettext_lazy("Public")),
    (Sensitivity.INTERNAL.value, gettext_lazy("Internal")),
    (Sensitivity.CONFIDENTIAL.value, gettext_lazy("Confidential")),
)
GROUNDINGS = (
    (
        Grounding.STRICT.value,
        gettext_lazy("Hide"),
        gettext_lazy("Every sentence shown has a source. Recommended."),
    ),
    (
        Grounding.FLAG.value,
        gettext_lazy("Show with a warning"),
        gettext_lazy("Reads more smoothly; sentences without a source are marked."),
    ),
)
OUTSIDE_MODELS = (
    (OutsideModels.DEFAULT.value, gettext_lazy("As the installation decides")),
    (OutsideModels.ALLOW.value, gettext_lazy("May read it")),
    (OutsideModels.FORBID.value, gettext_lazy("May not read it")),
)
SHOWN = 50
LONGEST_NAME = 120
ROLES = (
    (Role.READER.value, gettext_lazy("Reader")),
    (Role.EDITOR.value, gettext_lazy("Editor")),
    (Role.MANAGER.value, gettext_lazy("Manager")),
)


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant. `closed_roles`: higher roles that the user may not give to the subject."""

    subject: str
    name: str
    kind: str
    role: str
    closed_roles: tuple[str, ...] = ()


@require_safe
@page
def knowledge_bases(request: HttpRequest, principal: Principal) -> HttpResponse:
    """List knowledge bases for people who manage one or may create one."""
    bases = base_cards(principal, role=Role.MANAGER)
    if not bases and not can_create_knowledge_bases(principal):
        raise Forbidden
    text = request.GET.get("q", "").strip()[:LONGEST_NAME]
    found = [base for base in bases if text.casefold() in base.name.casefold()]
    context = {
        "bases": Paginator(found, SHOWN).get_page(number_in(request.GET.get("page", ""))),
        "searchable": len(bases) > SHOWN,
        "text": text,
        "query_prefix": f"{urlencode({'q': text})}&" if text else "",
        "shared_unofficially": _find_public_unofficial_bases(principal),
        "blank": {"sensitivity": Sensitivity.INTERNAL.value, "grounding": Grounding.STRICT.value},
        "sensitivities": SENSITIVITIES,
        "groundings": GROUNDINGS,
        "tab": "bases",
    }
    return show(request, principal, "pages/console/knowledge_bases.html", context, area="console")


@require_safe
@page
def knowledge_base(request: HttpRequest, principal: Principal, slug: str) -> HttpResponse:
    base = knowledge_base_named(principal, slug, role=Role.MANAGER)
    context = {
        "tab": "bases",
        "base": base_card(principal, base),
        "grants": _grants(base, principal),
        "name_fixed": base.official and not principal.acts_as_admin,
        "blank_grant": GrantRow("", "", "", Role.READER.value),
        "grants_to_everyone": may_grant_to_everyone(principal),
        "roles": ROLES,
        "sensitivities": SENSITIVITIES,
        "groundings": GROUNDINGS,
        "outside_models": OUTSIDE_MODELS,
        "examples": "\n".join(examples_of(base)),
        "max_examples": MAX_EXAMPLES,
        "max_example_characters": MAX_EXAMPLE_CHARACTERS,
    }
    return show(request, principal, "pages/console/knowledge_base.html", context, area="console")


@require_safe
@fragment
def retention(request: HttpRequest, principal: Principal, slug: str) -> HttpResponse:
    """Render how many documents a retention period would delete at once."""
    base = knowledge_base_named(principal, slug, role=Role.MANAGER)
    text = request.GET.get("retention_days", "")
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    context = {"days": days, "count": find_expired(base, days).count() if days else 0}
    return render(request, "pages/console/_retention.html", context)


def _grants(base: KnowledgeBase, principal: Principal) -> list[GrantRow]:
    grants = list(Grant.objects.filter(knowledge_base=base).select_related("user", "group"))
    groups = [grant.group_id for grant in grants if grant.group_id]
    grantable = groups_grantable_by(principal).filter(pk__in=groups)
    open_groups = frozenset(grantable.values_list("pk", flat=True))
    return [_grant_row(grant, open_groups, principal) for grant in grants]


def _grant_row(grant: Grant, open_groups: Collection[UUID], principal: Principal) -> GrantRow:
    role = Role(grant.role)
    higher = tuple(each.value for each in Role if each.rank > role.rank)
    if grant.user:
        return GrantRow(grant.subject, grant.user.label, gettext("user"), role)
    if grant.group:
        closed = () if grant.group.id in open_groups else higher
        return GrantRow(grant.subject, str(grant.group), gettext("group"), role, closed)
    closed = () if may_grant_to_everyone(principal) else higher
    return GrantRow(grant.subject, gettext("Everyone who can sign in"), "", role, closed)


def _find_public_unofficial_bases(principal: Principal) -> frozenset[UUID]:
    """Return unofficial knowledge bases readable by everyone, for admins to review."""
    if not principal.acts_as_admin:
        return frozenset()
    grants = Grant.objects.filter(user=None, group=None, knowledge_base__official=False)
    return frozenset(grants.values_list("knowledge_base", flat=True))
