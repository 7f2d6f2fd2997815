"""Learning of hidden knowledge bases from slugs, and getting a slug that others rely on."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection, connections
from django.utils.text import slugify

from cairn.access.principals import principal_for_key
from cairn.access.scope import Principal
from cairn.access.services import knowledge_base_create
from cairn.accounts.models import ApiKey
from cairn.errors import Taken
from cairn.library.models import KnowledgeBase, ReservedSlug
from tests.bases import let_create
from tests.web.api.conftest import Caller
from tests.web.security.attacks.recorder import Attack

NAMES = [
    "Zebrafish vault",
    "zebrafish VAULT",
    "Zebrafish vault 2",
    "Fusion & acquisition",
    "Straße",
    "рынок",
    "!!!",
    "a" * 120,
]
THREADS = 6


def slug_of(caller: Caller, name: str, **fields: str) -> str:
    answer = caller.post("/knowledge-bases", {"name": name, **fields})
    assert answer.status_code == 201, answer.content
    return str(answer.json()["slug"])


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
@pytest.mark.parametrize("state", ["hidden", "deleted", "erased"])
def test_slug_does_not_reveal_a_hidden_knowledge_base(
    attack: Attack, admin: Caller, mia: Caller, name: str, state: str
) -> None:
    """The slug has the same form whether or not the name is taken. Admins, who see all, get the plain one."""
    let_create(mia.user)
    stem = slugify(name) or "knowledge-base"
    free = slug_of(mia, name)
    attack.allowed(slug_of(admin, name) == stem)
    removal(state)(stem)
    taken = slug_of(mia, name)
    for slug in (free, taken):
        attack.refused(re.fullmatch(re.escape(stem) + "-[0-9a-f]{8}", slug) is not None, slug)
    attack.refused(free != taken)
    attack.allowed(slug_of(admin, name) == f"{stem}-2")


def removal(state: str) -> Callable[[str], object]:
    bases = KnowledgeBase.objects.all()
    return {
        "hidden": lambda slug: None,
        "deleted": lambda slug: bases.filter(slug=slug).update(deleted_at="2026-01-01T00:00Z"),
        "erased": lambda slug: bases.filter(slug=slug).delete(),
    }[state]


@pytest.mark.parametrize("state", ["hidden", "deleted", "erased"])
def test_chosen_slug_reveals_nothing(attack: Attack, admin: Caller, mia: Caller, state: str) -> None:
    let_create(mia.user)
    attack.allowed(slug_of(admin, "Zebrafish vault", slug="zebrafish") == "zebrafish")
    removal(state)("zebrafish")
    taken, free = (
        mia.post("/knowledge-bases", {"name": "Mine", "slug": slug}) for slug in ("zebrafish", "wombat")
    )
    attack.refused(taken.status_code == free.status_code == 403, taken.content)
    attack.refused(taken.json() | {"instance": ""} == free.json() | {"instance": ""}, taken.content)


@pytest.mark.parametrize("state", ["hidden", "deleted", "erased"])
def test_slug_is_never_reused(attack: Attack, admin: Caller, state: str) -> None:
    """Not even by admins: a script that names the old knowledge base must not find another one."""
    first = slug_of(admin, "Payroll 2027")
    removal(state)(first)
    again = admin.post("/knowledge-bases", {"name": "Payroll 2027", "slug": first})
    attack.refused(again.status_code == 409, again.content)
    attack.refused(slug_of(admin, "Payroll 2027") == "payroll-2027-2")
    attack.allowed(slug_of(admin, "Payroll", slug="payroll-2028") == "payroll-2028")


@pytest.mark.parametrize("how", ["row", "rows", "changed", "saved"])
def test_reserved_slugs_stay(attack: Attack, admin: Caller, how: str) -> None:
    slug_of(admin, "Handbook")
    row = ReservedSlug.objects.get()
    ways: dict[str, Callable[[], object]] = {
        "row": row.delete,
        "rows": ReservedSlug.objects.all().delete,
        "changed": lambda: ReservedSlug.objects.update(slug="other"),
        "saved": lambda: ReservedSlug(pk=row.pk, slug="other").save(force_update=True),
    }
    with pytest.raises(TypeError):
        ways[how]()
    attack.refused(ReservedSlug.objects.get().slug == "handbook")
    attack.allowed(slug_of(admin, "Notes") == "notes")


@pytest.mark.parametrize("explicit", [True, False], ids=["chosen", "from the name"])
@pytest.mark.django_db(transaction=True)
def test_concurrent_slug_requests_succeed_once(attack: Attack, admin: Caller, explicit: bool) -> None:
    principal, together = admin.principal, Barrier(THREADS)

    def create(_number: int) -> str:
        together.wait()
        try:
            slug = "payroll" if explicit else None
            return knowledge_base_create(name="Payroll", principal=principal, slug=slug).slug
        except Taken:
            return ""
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        slugs = list(pool.map(create, range(THREADS)))
    attack.refused(slugs.count("payroll") == 1, slugs)
    wanted = {"", "payroll"} if explicit else {"payroll", *(f"payroll-{n}" for n in range(2, THREADS + 1))}
    attack.allowed(set(slugs) == wanted, slugs)
    attack.refused(ReservedSlug.objects.count() == len(set(slugs) - {""}), slugs)


def test_slug_generation_time_does_not_depend_on_other_names(
    attack: Attack, admin: Caller, mia: Caller
) -> None:
    """The same statements are executed, so that timing reveals nothing."""
    let_create(mia.user)
    for _ in range(3):
        slug_of(admin, "Zebrafish vault")

    def statements(name: str, principal: Principal) -> list[str]:
        connection.force_debug_cursor = True
        connection.queries_log.clear()
        try:
            knowledge_base_create(name=name, principal=principal)
            return [re.sub(r"'[^']*'|\d+|[0-9a-f]{32}", "?", query["sql"]) for query in connection.queries]
        finally:
            connection.force_debug_cursor = False

    taken, free = (statements(name, mia.principal) for name in ("Zebrafish vault", "Wombat vault"))
    attack.refused(taken == free, (taken, free))
    key = principal_for_key(ApiKey.objects.get(user=admin.user))
    attack.allowed(any("LIKE" in sql for sql in statements("Zebrafish vault", key)))
