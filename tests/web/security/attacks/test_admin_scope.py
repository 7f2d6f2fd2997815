"""Acting as an admin with a key of an admin that lacks the scope for it."""

from collections.abc import Callable

import pytest

from cairn.accounts.services import api_key_create
from cairn.library.models import KnowledgeBase
from tests.web.api.conftest import Caller, Response
from tests.web.security.attacks.recorder import Attack


def chooses_a_slug(key: Caller, base: KnowledgeBase) -> Response:
    return key.post("/knowledge-bases", {"name": "Payroll", "slug": "payroll-2027"})


def grants_everyone(key: Caller, base: KnowledgeBase) -> Response:
    return key.put(f"/knowledge-bases/{base.id}/grants", [{"subject": "everyone", "role": "reader"}])


def renames(key: Caller, base: KnowledgeBase) -> Response:
    return key.patch(f"/knowledge-bases/{base.id}", {"name": "Official leave policy"})


def approves(key: Caller, base: KnowledgeBase) -> Response:
    return key.patch(f"/knowledge-bases/{base.id}", {"official": False, "owner": None})


@pytest.mark.parametrize("act", [chooses_a_slug, grants_everyone, renames, approves])
def test_key_without_the_admin_scope_has_no_admin_rights(
    attack: Attack, admin: Caller, base: KnowledgeBase, act: Callable[[Caller, KnowledgeBase], Response]
) -> None:
    def key(*scopes: str) -> Caller:
        return Caller(admin.user, api_key_create(user=admin.user, label="test", scopes=scopes)[1])

    attack.refused(act(key("manage"), base).status_code == 403)
    attack.allowed(act(key("manage", "admin"), base).status_code in {200, 201})


def test_knowledge_base_created_by_a_limited_admin_key_is_unofficial(attack: Attack, admin: Caller) -> None:
    def created(*scopes: str) -> object:
        key = Caller(admin.user, api_key_create(user=admin.user, label="test", scopes=scopes)[1])
        return key.post("/knowledge-bases", {"name": "Payroll"}).json()["official"]

    attack.refused(created("manage") is False)
    attack.allowed(created("manage", "admin") is True)
