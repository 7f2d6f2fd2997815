"""Administration pages of knowledge bases with grants, users and groups."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_safe

from cairn.access.grant_policy import groups_grantable_by, may_grant_to_everyone
from cairn.access.models import Grant, Role
from cairn.access.principals import can_create_knowledge_bases, require_admin
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_named
from cairn.accounts.models import Group, User
from cairn.answers import Grounding
from cairn.errors import Forbidden
from cairn.library.models import KnowledgeBase, Sensitivity
from ingestion.erasure.retention import find_expired
from web.identity.second_factor import users_with_second_factor
from web.pages.library.knowledge_bases import base_card, base_cards
from web.pages.shell.decorators import fragment, page, show

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
NAMED_AT_MOST = 100
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


@dataclass(frozen=True, slots=True)
class Subjects:
    """Possible subjects of grants. `closed_groups`: ids of groups that the principal may not grant access
    to.
    """

    users: "QuerySet[User]"
    groups: "QuerySet[Group]"
    open_to_everyone: bool
    closed_groups: frozenset[UUID]

    @classmethod
    def for_principal(cls, principal: Principal) -> "Subjects":
        groups = Group.objects.order_by("name", "source")
        closed = groups.exclude(pk__in=groups_grantable_by(principal).values("pk"))
        return cls(
            User.objects.active().order_by("username"),
            groups,
            may_grant_to_everyone(principal),
            frozenset(closed.values_list("id", flat=True)),
        )


@dataclass(frozen=True, slots=True)
class Person:
    id: object
    username: str
    is_admin: bool
    is_active: bool
    group_ids: frozenset[object]
    group_names: str
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class Team:
    """A group. `source` is its directory. It may have thousands of members: only the first are named."""

    id: object
    name: str
    source: str
    member_ids: frozenset[object]
    manager_ids: frozenset[object]
    named: tuple[str, ...]
    creates: bool

    @property
    def unnamed(self) -> int:
        return len(self.member_ids) - len(self.named)


@require_safe
@page
def knowledge_bases(request: HttpRequest, principal: Principal) -> HttpResponse:
    """List knowledge bases for people who manage one or may create one."""
    bases = base_cards(principal, role=Role.MANAGER)
    if not bases and not can_create_knowledge_bases(principal):
        raise Forbidden
    context = {
        "bases": bases,
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
    subjects = Subjects.for_principal(principal)
    context = {
        "tab": "bases",
        "base": base_card(principal, base),
        "grants": _grants(base, subjects),
        "owners": subjects.users,
        "name_fixed": base.official and not principal.acts_as_admin,
        "blank_grant": GrantRow("", "", "", Role.READER.value),
        "subjects": subjects,
        "roles": ROLES,
        "sensitivities": SENSITIVITIES,
        "groundings": GROUNDINGS,
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


def _grants(base: KnowledgeBase, subjects: Subjects) -> list[GrantRow]:
    grants = Grant.objects.filter(knowledge_base=base).select_related("user", "group")
    return [_grant_row(grant, subjects) for grant in grants]


def _grant_row(grant: Grant, subjects: Subjects) -> GrantRow:
    role = Role(grant.role)
    higher = tuple(each.value for each in Role if each.rank > role.rank)
    if grant.user:
        return GrantRow(grant.subject, grant.user.username, gettext("user"), role)
    if grant.group:
        closed = higher if grant.group.id in subjects.closed_groups else ()
        return GrantRow(grant.subject, str(grant.group), gettext("group"), role, closed)
    closed = () if subjects.open_to_everyone else higher
    return GrantRow(grant.subject, gettext("Everyone who can sign in"), "", role, closed)


def _find_public_unofficial_bases(principal: Principal) -> frozenset[UUID]:
    """Return unofficial knowledge bases readable by everyone, for admins to review."""
    if not principal.acts_as_admin:
        return frozenset()
    grants = Grant.objects.filter(user=None, group=None, knowledge_base__official=False)
    return frozenset(grants.values_list("knowledge_base", flat=True))


@require_safe
@page
def users(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    people = User.objects.order_by("username").prefetch_related("member_of")
    protected = users_with_second_factor()
    context = {
        "users": [_person(user, user.id in protected) for user in people],
        "groups": Group.objects.filter(source="").order_by("name"),
        "tab": "users",
    }
    return show(request, principal, "pages/console/users.html", context, area="console")


def _person(user: User, has_second_factor: bool) -> Person:
    groups = sorted(user.member_of.all(), key=lambda group: group.name.casefold())
    return Person(
        user.id,
        user.username,
        user.is_admin,
        user.is_active,
        frozenset(group.id for group in groups),
        ", ".join(str(group) for group in groups),
        has_second_factor,
    )


@require_safe
@page
def groups(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    teams = Group.objects.order_by("name", "source").prefetch_related("members", "managers")
    context = {
        "groups": [_team(group) for group in teams],
        "users": User.objects.order_by("username"),
        "tab": "groups",
    }
    return show(request, principal, "pages/console/groups.html", context, area="console")


def _team(group: Group) -> Team:
    members = group.members.all()
    names = sorted((user.username for user in members), key=str.casefold)[:NAMED_AT_MOST]
    return Team(
        group.id,
        group.name,
        group.source,
        frozenset(user.id for user in members),
        frozenset(user.id for user in group.managers.all()),
        tuple(names),
        group.can_create_knowledge_bases,
    )
