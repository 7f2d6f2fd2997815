"""Who may read a file in Cairn is who can open it on the share: 50 people and up to 500 files."""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
from django.test import Client as Browser

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give
from cairn.access.source_access import SourceAccess, SourceGroup, SourcePerson
from cairn.access.source_services import replace_source_people, set_source_access
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from cairn.settings.ldap import LdapSettings
from ingestion.sources.kinds.smb import KIND
from ingestion.sources.protocol import Item
from tests.bases import make_base
from tests.principals import SETUP
from tests.samba import (
    ADMIN,
    ADMIN_PASSWORD,
    BASE,
    CONTAINER_INHERIT,
    DENY,
    EXECUTE,
    FULL,
    INHERIT_ONLY,
    INHERITED,
    OBJECT_INHERIT,
    PASSWORD,
    WRITE,
    Ace,
    Client,
    SambaDomain,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(900)]

PEOPLE: Final = [f"person{number:02}" for number in range(50)]
SAMPLE: Final = 6
"""People who sign in to Cairn itself with their password of the domain."""
EVERYONE, AUTHENTICATED, NETWORK = "S-1-1-0", "S-1-5-11", "S-1-5-2"
OWNER_RIGHTS, CREATOR_OWNER = "S-1-3-4", "S-1-3-0"
USERS, ADMINISTRATORS, PRE_2000 = "S-1-5-32-545", "S-1-5-32-544", "S-1-5-32-554"
UNKNOWN: Final = "S-1-5-21-1-2-3-4567"
GLOBAL, DOMAIN_LOCAL, UNIVERSAL, DISTRIBUTION = -2147483646, -2147483644, -2147483640, 8


class Organisation:
    """People and groups in the domain, and files on the share with every kind of permissions."""

    def __init__(self, domain: SambaDomain, seed: int) -> None:
        self.domain, self.random = domain, random.Random(seed)
        self.people = {name: domain.add_person(name) for name in PEOPLE}
        self.groups = self._make_groups()
        self.sids = {dn: domain.sid(dn) for dn in (*self.people.values(), *self.groups.values())}
        self.paths: list[str] = []
        self._make_odd_accounts()

    def _make_groups(self) -> dict[str, str]:
        kinds, groups = (GLOBAL, UNIVERSAL, DOMAIN_LOCAL, DISTRIBUTION), dict[str, str]()
        for number in range(12):
            members = self.random.sample(sorted(self.people.values()), 6)
            kind = UNIVERSAL if number < 4 else kinds[number % 4]
            above = [groups[f"group{number - 1:02}"]] if 0 < number < 4 else []
            groups[f"group{number:02}"] = self.domain.add_group(f"group{number:02}", members + above, kind)
        mailing = groups["group11"]  # what is only in a distribution group gets nothing from it
        self.domain.set_members(groups["group10"], add=[mailing])
        self.domain.set_members(groups["group00"], add=[groups["group03"]])  # a circle
        return groups

    def _make_odd_accounts(self) -> None:
        """One with another primary group, which doesn't list its members; one that is disabled."""
        first, second = self.people["person00"], self.people["person01"]
        primary = self.groups["group04"]
        self.domain.set_members(primary, add=[] if first in self._members(primary) else [first])
        self.domain.replace(first, primaryGroupID=int(self.sids[primary].rpartition("-")[2]))
        self.domain.replace(second, userAccountControl=514)

    def _members(self, group: str) -> list[str]:
        self.domain.directory.search(group, "(objectClass=*)", "BASE", attributes=["member"])
        return [each.decode() for each in self.domain.directory.response[0]["raw_attributes"]["member"]]

    def make_files(self, admin: Client, count: int) -> None:
        for number in range(10):
            inherited = [*self.make_permissions()[0], Ace(ADMINISTRATORS, mask=FULL)]
            admin.make_folder(f"folder{number}")
            aces = [ace._replace(flags=OBJECT_INHERIT | CONTAINER_INHERIT) for ace in inherited]
            admin.protect(f"folder{number}", aces)
        for number in range(count):
            path = f"folder{number % 10}/Bericht {number} – größer.txt"
            admin.write(path, b"words")
            self.paths.append(path)
            if number % 5:  # the others have what they inherited
                self.protect(admin, path)

    def protect(self, admin: Client, path: str) -> None:
        aces, owner = self.make_permissions()
        admin.protect(path, aces, owner=owner, protected=bool(self.random.getrandbits(1)))

    def make_permissions(self) -> tuple[list[Ace], str]:
        """Make a list of entries of a random kind, and an owner."""
        person, other = (self.sids[dn] for dn in self.random.sample(sorted(self.people.values()), 2))
        group, another = (self.sids[dn] for dn in self.random.sample(sorted(self.groups.values()), 2))
        deep, primary = self.sids[self.groups["group03"]], self.sids[self.groups["group04"]]
        users = self.domain_users
        lists = [
            [Ace(person)], [Ace(group)], [Ace(deep)], [Ace(primary)], [Ace(users)], [Ace(EVERYONE)],
            [Ace(AUTHENTICATED)], [Ace(NETWORK)], [Ace(USERS)], [Ace(PRE_2000)], [Ace(ADMINISTRATORS)], [],
            [Ace(UNKNOWN), Ace(person)], [Ace(UNKNOWN, DENY), Ace(EVERYONE)],
            [Ace(person, DENY), Ace(EVERYONE)], [Ace(EVERYONE), Ace(person, DENY)],
            [Ace(group, DENY), Ace(users)], [Ace(group), Ace(another, DENY), Ace(users)],
            [Ace(deep, DENY), Ace(AUTHENTICATED)], [Ace(NETWORK, DENY), Ace(person)],
            [Ace(OWNER_RIGHTS), Ace(other)], [Ace(OWNER_RIGHTS, DENY), Ace(EVERYONE)],
            [Ace(CREATOR_OWNER), Ace(group)], [Ace(person, mask=WRITE), Ace(other)],
            [Ace(person, mask=EXECUTE), Ace(group, mask=FULL)], [Ace(group, DENY, WRITE), Ace(group)],
            [Ace(EVERYONE, flags=INHERIT_ONLY | OBJECT_INHERIT), Ace(person)],
            [Ace(person, DENY), Ace(group, flags=INHERITED), Ace(users, DENY, flags=INHERITED)],
            [Ace(person, mask=0x80000000), Ace(other, mask=0x10000000)],
        ]  # fmt: skip
        return self.random.choice(lists), person

    @property
    def domain_users(self) -> str:
        return self.sids[self.people["person02"]].rpartition("-")[0] + "-513"

    def change(self, admin: Client) -> None:
        """Change permissions of a file or what a folder's files inherit, or who is in a group."""
        group = self.groups[f"group{self.random.randrange(12):02}"]
        person = self.random.choice([dn for name, dn in self.people.items() if name != "person00"])
        if self.random.random() < 0.6:
            self.protect(admin, self.random.choice(self.paths))
        elif person in self._members(group):
            self.domain.set_members(group, remove=[person])
        else:
            self.domain.set_members(group, add=[person])

    def see_who_opens(self) -> Iterator[tuple[str, list[bool]]]:
        for name in PEOPLE:
            if name == "person01":  # disabled
                yield name, [False] * len(self.paths)
                continue
            with self.domain.signed_in(name) as client:
                yield name, client.can_open(self.paths)


class Synced:
    """The share as Cairn knows it, through the kind and the services that store permissions."""

    def __init__(self, domain: SambaDomain, base: KnowledgeBase) -> None:
        self.domain, self.base = domain, base
        self.source = base.id
        self.documents: dict[str, Document] = {}
        self.items: list[Item] = []
        self.people: dict[str, SourcePerson] = {}
        self.groups: dict[str, SourceGroup] = {}
        self.accesses: dict[str, SourceAccess] = {}

    def list_files(self) -> None:
        with KIND.connect(options_of(self.domain)) as source:
            self.items = [each for each in source.list_changes("") if isinstance(each, Item)]
        for item in self.items:
            fields = {"source_key": item.id, "title": item.name, "narrowed": True}
            self.documents[item.id] = Document.objects.create(knowledge_base=self.base, **fields)

    def sync(self) -> None:
        """Read people and permissions, but no contents."""
        with KIND.connect(options_of(self.domain)) as source:
            found = list(source.list_people())
            self.accesses = dict(source.list_access(self.items))
        self.people = {each.name: each for each in found if isinstance(each, SourcePerson)}
        self.groups = {each.id: each for each in found if isinstance(each, SourceGroup)}
        replace_source_people(self.source, found, directory="ldap", match_email=False)
        set_source_access(
            self.source, {self.documents[item].pk: access for item, access in self.accesses.items()}
        )

    def subjects_of(self, person: str) -> set[str]:
        subjects, added = set[str](), {person}
        while added:
            subjects |= added
            added = {sid for sid, group in self.groups.items() if added & set(group.members)} - subjects
        return subjects

    def see_who_reads(self, paths: list[str]) -> Iterator[tuple[str, list[bool]]]:
        by_path = {f"{item.container}/{item.name}": item.id for item in self.items}
        for name in PEOPLE:
            subjects = self.subjects_of(self.people[name].id) if name in self.people else set[str]()
            yield name, [self.accesses[by_path[path]].allows(subjects) for path in paths]


def options_of(domain: SambaDomain) -> Any:
    return KIND.options(
        server=domain.address,
        share="share",
        username=f"CAIRN\\{ADMIN}",
        password=ADMIN_PASSWORD,
        directory_server=domain.address,
        directory_certificate=domain.ca_file.read_text(),
    )


@pytest.fixture
def domain() -> Iterator[SambaDomain]:
    server = SambaDomain()
    server.start()
    yield server
    server.close()


@pytest.fixture
def base(make_user: Callable[..., User]) -> KnowledgeBase:
    base = make_base(name="Share", principal=principal_for_user(make_user("manager")))
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    return base


@pytest.fixture
def sign_in(domain: SambaDomain, settings: Any) -> Callable[[str], Browser]:
    """Sign in to Cairn with the password of the domain."""
    settings.AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.ModelBackend",
        "cairn.accounts.ldap.backend.LdapBackend",
    ]
    settings.LDAP = LdapSettings(
        host=domain.address,
        port=636,
        tls=True,
        start_tls=False,
        user_base=BASE,
        user_filter="(sAMAccountName={username})",
        user_name="sAMAccountName",
        bind_dn=f"CAIRN\\{ADMIN}",
        bind_password=ADMIN_PASSWORD,
        ca_file=domain.ca_file,
    )

    def _sign_in(name: str) -> Browser:
        browser = Browser()
        assert browser.post("/login", {"username": name, "password": PASSWORD}).status_code == 302
        return browser

    return _sign_in


def differences(
    paths: list[str], server: Mapping[str, list[bool]], cairn: Mapping[str, list[bool]]
) -> list[str]:
    return [
        f"{name} {path}: {'opens' if opens else 'is refused'}, Cairn {reads}"
        for name, answers in server.items()
        for path, opens, reads in zip(paths, answers, cairn[name], strict=True)
        if opens != reads
    ]


def assert_same(organisation: Organisation, synced: Synced, browsers: Mapping[str, Browser]) -> None:
    paths = organisation.paths
    server, cairn = dict(organisation.see_who_opens()), dict(synced.see_who_reads(paths))
    assert differences(paths, server, cairn)[:20] == []
    opened = [any(answers) and not all(answers) for answers in zip(*server.values(), strict=True)]
    assert sum(opened) > len(paths) / 3, "most files should be open to some people only"
    by_path = {f"{item.container}/{item.name}": item.id for item in synced.items}
    for name, browser in browsers.items():
        answers = [
            browser.get(f"/api/v1/documents/{synced.documents[by_path[path]].pk}").status_code == 200
            for path in paths[::5]
        ]
        assert answers == server[name][::5], name


@pytest.mark.parametrize(
    ("files", "changes"), [(120, 40), pytest.param(500, 100, marks=pytest.mark.acceptance)]
)
def test_smb_access_in_cairn_matches_the_share(
    domain: SambaDomain, base: KnowledgeBase, sign_in: Callable[[str], Browser], files: int, changes: int
) -> None:
    seed = 24
    organisation = Organisation(domain, seed)
    with domain.signed_in(ADMIN, ADMIN_PASSWORD) as admin:
        organisation.make_files(admin, files)
        synced = Synced(domain, base)
        synced.list_files()
        assert len(synced.items) == files
        names = [name for name in PEOPLE if name != "person01"][:SAMPLE]
        early = {name: sign_in(name) for name in names[: SAMPLE // 2]}  # before and after the first sync
        synced.sync()
        browsers = early | {name: sign_in(name) for name in names[SAMPLE // 2 :]}
        assert_same(organisation, synced, browsers)
        for _ in range(changes):
            organisation.change(admin)
    synced.sync()
    assert_same(organisation, synced, browsers)
