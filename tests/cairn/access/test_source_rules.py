"""Every answer about access from a source agrees with the source's own, whatever it describes."""

import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pytest

from cairn.access.audience import document_access_of, people_reading
from cairn.access.models import Role, SourceSubject
from cairn.access.permissions import documents_for
from cairn.access.principals import principal_for_user
from cairn.access.selectors import scope_for
from cairn.access.services import grant_give, reader_tokens
from cairn.access.source_access import EVERYONE, AccessEntry, SourceAccess, SourceGroup, SourcePerson
from cairn.access.source_services import link_source_person, replace_source_people, set_source_access
from cairn.accounts.models import Identity, User
from cairn.library.models import Document, KnowledgeBase
from tests.bases import make_base
from tests.principals import SETUP

pytestmark = pytest.mark.django_db
SOURCE, OTHER = uuid.UUID(int=24), uuid.UUID(int=25)
PEOPLE, GROUPS, STRANGERS = ["p0", "p1", "p2", "p3"], ["g0", "g1", "g2"], ["x0", "x1"]
USERS = ["u0", "u1", "u2", "manager", "root"]


@dataclass(frozen=True)
class World:
    """The content of the source at one time: groups, members, and two documents."""

    members: Mapping[str, frozenset[str]]
    listed: frozenset[str]
    accounts: Mapping[str, str]
    by_hand: Mapping[str, str | None]
    outer: SourceAccess | None
    inner: SourceAccess | None


def draw_world(draw: random.Random, inner: bool) -> World:
    """Draw a source in which most people have accounts, and entries that deny often decide."""
    listed = frozenset(person for person in PEOPLE if draw.random() < 0.85)
    return World(
        members={
            g: frozenset(draw.sample([*PEOPLE, *GROUPS], draw.randint(0, 3)))
            for g in GROUPS
            if draw.random() < 0.85
        },
        listed=listed,
        accounts={p: draw.choice(USERS[:3]) for p in PEOPLE if draw.random() < 0.8},
        by_hand={p: draw.choice([None, *USERS]) for p in PEOPLE if draw.random() < 0.15},
        outer=draw_access(draw),
        inner=draw_access(draw) if inner else None,
    )


def draw_access(draw: random.Random) -> SourceAccess:
    levels = tuple(
        tuple(draw_entry(draw) for _ in range(draw.randint(1, 4)))
        for _ in range(draw.choice([0, 1, 1, 1, 2]))
    )
    return SourceAccess(levels, unknown="Its owner can’t be read." if draw.random() < 0.1 else "")


def draw_entry(draw: random.Random) -> AccessEntry:
    subject = draw.choice([*PEOPLE, *PEOPLE, *GROUPS, *GROUPS, *STRANGERS, EVERYONE])
    return AccessEntry(subject, allow=draw.random() < 0.6)


def subjects_of(user: str, world: World) -> frozenset[str] | None:
    """Return the ids that the user has in the source, by trying every group until nothing changes."""
    found = {person for person in world.listed if owner_of(person, world) == user}
    if not found:
        return None
    while more := {group for group, inside in world.members.items() if found & inside} - found:
        found |= more
    return frozenset(found)


def owner_of(person: str, world: World) -> str | None:
    return world.by_hand[person] if person in world.by_hand else world.accounts.get(person)


def expects(user: str, access: SourceAccess | None, world: World, ever_listed: Iterable[str]) -> bool:
    """Return the source's answer. Nobody knows whom a denial means that names an id never listed, or a group
    that is gone, but whoever it is may be allowed by an earlier entry with the same id."""
    if access is None or user in {"manager", "root"}:
        return True
    levels = [
        tuple(
            AccessEntry(EVERYONE, allow=False)
            if not entry.allow
            and entry.subject not in {*ever_listed, EVERYONE}
            and AccessEntry(entry.subject) not in level[:number]
            else entry
            for number, entry in enumerate(level)
        )
        for level in access.levels
    ]
    return SourceAccess(tuple(levels), access.unknown).allows(subjects_of(user, world))


@pytest.fixture
def users(make_user: Callable[..., User]) -> dict[str, User]:
    return {name: make_user(name, is_admin=name == "root") for name in USERS}


@pytest.fixture
def base(users: dict[str, User]) -> KnowledgeBase:
    base = make_base(name="Files", principal=principal_for_user(users["manager"]))
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    return base


def apply(world: World, users: Mapping[str, User], documents: Mapping[str, Document]) -> None:
    """Bring Cairn up to date with the source: some identities before its people, some afterwards."""
    Identity.objects.all().delete()
    claims = dict.fromkeys(world.accounts.values())
    owned = {user: [p for p, owner in world.accounts.items() if owner == user] for user in claims}
    first = {user: people[0] for user, people in owned.items()}
    for user, person in list(first.items())[::2]:
        Identity.objects.create(user=users[user], source="ldap", external_id=person)
    directory_ids = {p: first[owner] for p, owner in world.accounts.items()}
    found = [SourcePerson(p, p, directory_id=directory_ids.get(p, "")) for p in world.listed]
    replace_source_people(
        SOURCE,
        [*found, *(SourceGroup(g, g, tuple(inside)) for g, inside in world.members.items())],
        directory="ldap",
        match_email=False,
    )
    SourceSubject.objects.filter(link="nobody", absent=False).update(link="")
    SourceSubject.objects.filter(link="manual", absent=False).update(link="", user=None)
    replace_source_people(
        SOURCE,
        [*found, *(SourceGroup(g, g, tuple(inside)) for g, inside in world.members.items())],
        directory="ldap",
        match_email=False,
    )
    for user, person in list(first.items())[1::2]:
        Identity.objects.create(user=users[user], source="ldap", external_id=person)
    for person, owner in world.by_hand.items():
        if person in world.listed:
            subject = SourceSubject.objects.get(source=SOURCE, external_id=person)
            link_source_person(subject, users[owner] if owner else None, SETUP)
    accesses = {documents["outer"].pk: world.outer, documents["inner"].pk: world.inner}
    set_source_access(SOURCE, {pk: access for pk, access in accesses.items() if access is not None})


@pytest.mark.parametrize(
    "seed", [*range(8), *(pytest.param(n, marks=pytest.mark.slow) for n in range(8, 40))]
)
def test_forward_and_backward_access_checks_agree_with_the_source(
    base: KnowledgeBase, users: dict[str, User], seed: int
) -> None:
    draw = random.Random(seed)
    outer = Document.objects.create(knowledge_base=base, source_key="outer", title="outer")
    inner = Document.objects.create(knowledge_base=base, source_key="inner", title="inner", parent=outer)
    ever_listed: set[str] = set()
    inner_access: SourceAccess | None = None
    for _ in range(3):
        world = draw_world(draw, inner=draw.random() < 0.5)
        apply(world, users, {"outer": outer, "inner": inner})
        # A person who left is deleted unless a list names them; a later list can't know them either then.
        ever_listed &= set(
            SourceSubject.objects.exclude(kind="unknown").values_list("external_id", flat=True)
        )
        ever_listed |= world.listed | world.members.keys()
        inner_access = world.inner or inner_access
        check(users, outer, inner, world, inner_access, ever_listed)


def check(
    users: Mapping[str, User],
    outer: Document,
    inner: Document,
    world: World,
    inner_access: SourceAccess | None,
    ever_listed: Iterable[str],
) -> None:
    outer_open = {name for name in users if expects(name, world.outer, world, ever_listed)}
    inner_open = {name for name in users if expects(name, inner_access, world, ever_listed)}
    everyone = list(User.objects.order_by("username"))
    for document, expected in ((outer, outer_open), (inner, outer_open & inner_open)):
        fresh = Document.objects.select_related("parent", "knowledge_base").get(pk=document.pk)
        found = {
            user.username
            for user in everyone
            if documents_for(principal_for_user(user)).filter(pk=document.pk).exists()
        }
        assert found == expected
        assert set(people_reading(fresh).values_list("username", flat=True)) == expected
        explained = document_access_of(everyone, fresh)
        assert {each.access.username for each in explained if each.may_read} == expected
        for each in explained:
            for restriction in each.restrictions:
                assert restriction.is_synced
                assert bool(restriction.passes) != bool(restriction.refusal)
        # The index knows the nearest restriction only.
        nearest = inner_open if document is inner and inner_access else outer_open
        tokens = set(reader_tokens(fresh))
        scopes = {user.username: scope_for(principal_for_user(user)) for user in everyone}
        assert {name for name, s in scopes.items() if s.managed or tokens & s.tokens} == nearest
