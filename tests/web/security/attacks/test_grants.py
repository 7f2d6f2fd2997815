"""Giving access to everyone, or to a group, without being an admin or a manager of that group."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client

from cairn.access.grant_policy import require_may_grant
from cairn.access.models import Grant, Role
from cairn.access.permissions import knowledge_bases_for
from cairn.access.principals import principal_for_key
from cairn.access.services import grant_give, grants_replace
from cairn.accounts.external_groups import groups_replace
from cairn.accounts.models import ApiKey, Group, User
from cairn.accounts.services import api_key_create, group_create
from cairn.errors import Forbidden
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from tests.bases import make_base
from tests.principals import SETUP
from tests.web.api.conftest import Caller, Response, caller_for
from tests.web.scim.conftest import PATCH as SCIM_PATCH
from tests.web.security.attacks.recorder import Attack
from tests.web.security.matrix import from_elsewhere

Entries = list[dict[str, str]]
CONTENT = b"# Payroll\n\nCall 555-0199 for your PIN.\n" * 3000


@dataclass(frozen=True, slots=True)
class Stage:
    """`mia` made the base and manages the group `mine`; `rob` is a colleague in both groups."""

    admin: Caller
    mia: Caller
    rob: Caller
    base: KnowledgeBase
    groups: dict[str, Group]

    def subject(self, name: str) -> str:
        return "everyone" if name == "everyone" else f"group:{self.groups[name].id}"

    def entries(self, *more: tuple[str, str]) -> Entries:
        mine = {"subject": f"user:{self.mia.user.id}", "role": "manager"}
        return [mine, *({"subject": self.subject(name), "role": role} for name, role in more)]

    def reaches_rob(self, base: KnowledgeBase | None = None) -> bool:
        return knowledge_bases_for(self.rob.principal).filter(pk=(base or self.base).pk).exists()


@pytest.fixture
def stage(admin: Caller, mia: Caller, rob: Caller, base: KnowledgeBase) -> Stage:
    groups_replace(rob.user, source="oidc:okta", names=["All staff"])
    groups = {
        "a group of others": group_create(name="HR", members=[rob.user.id]),
        "a group of a directory": Group.objects.get(source="oidc:okta"),
        "a group of mine": group_create(name="Team", members=[rob.user.id], managers=[mia.user.id]),
    }
    return Stage(admin, mia, rob, base, groups)


Put = Callable[[Stage, Caller, Entries], Response]


def by_key(stage: Stage, caller: Caller, entries: Entries) -> Response:
    return caller.put(f"/knowledge-bases/{stage.base.id}/grants", entries)


def by_limited_key(stage: Stage, caller: Caller, entries: Entries) -> Response:
    _, key = api_key_create(user=caller.user, label="limited", knowledge_bases=[stage.base.id])
    return by_key(stage, Caller(caller.user, key), entries)


def by_session(stage: Stage, caller: Caller, entries: Entries) -> Response:
    """Send what the console's page sends."""
    client = Client()
    client.force_login(caller.user)
    path = f"/api/v1/knowledge-bases/{stage.base.id}/grants"
    return client.put(path, entries, content_type="application/json")


def by_preview(stage: Stage, caller: Caller, entries: Entries) -> Response:
    """Foretelling the effect must answer as the change itself, and change nothing."""
    return caller.post(f"/knowledge-bases/{stage.base.id}/grants/effect", entries)


def among_others(stage: Stage, caller: Caller, entries: Entries) -> Response:
    return by_key(stage, caller, [*entries, {"subject": f"user:{stage.rob.user.id}", "role": "reader"}])


def named_twice(stage: Stage, caller: Caller, entries: Entries) -> Response:
    return by_key(stage, caller, [*entries, *entries[1:]])


def by_a_manager_made_by_the_owner(stage: Stage, caller: Caller, entries: Entries) -> Response:
    """The manager who was let in by mia has no more rights than she has."""
    if caller is not stage.mia:
        return by_key(stage, caller, entries)
    helper = caller_for(f"helper-{User.objects.count()}")
    for group in stage.mia.user.managed_groups.all():
        group.managers.add(helper.user)
    subject = f"user:{helper.user.id}"
    grant_give(knowledge_base=stage.base, subject=subject, role=Role.MANAGER, principal=stage.mia.principal)
    return by_key(stage, helper, [*entries, {"subject": subject, "role": "manager"}])


def on_an_official_base(stage: Stage, caller: Caller, entries: Entries) -> Response:
    """Managing a knowledge base that an admin made does not give the right, either."""
    KnowledgeBase.objects.filter(pk=stage.base.pk).update(official=True, owner=stage.admin.user)
    return by_key(stage, caller, entries)


def as_a_raised_role(stage: Stage, caller: Caller, entries: Entries) -> Response:
    """An admin granted the role reader; editor is more."""
    for entry in entries[1:]:
        grant_give(knowledge_base=stage.base, subject=entry["subject"], role=Role.READER, principal=SETUP)
    raised = [entries[0], *({**entry, "role": "editor"} for entry in entries[1:])]
    return by_key(stage, caller, raised)


WAYS: tuple[Put, ...] = (
    by_key, by_limited_key, by_session, by_preview, among_others, named_twice,
    by_a_manager_made_by_the_owner, on_an_official_base, as_a_raised_role,
)  # fmt: skip
FORBIDDEN = ("everyone", "a group of others", "a group of a directory")


def by_name(value: Any) -> str:
    return value if isinstance(value, str) else str(value.__name__).replace("_", " ")


@pytest.mark.parametrize("role", ["reader", "editor", "manager"])
@pytest.mark.parametrize("subject", FORBIDDEN)
@pytest.mark.parametrize("way", WAYS, ids=by_name)
def test_manager_cannot_grant_beyond_their_rights(
    attack: Attack, stage: Stage, way: Put, subject: str, role: str
) -> None:
    refused = way(stage, stage.mia, stage.entries((subject, role)))
    attack.refused(refused.status_code == 403, refused.content)
    attack.refused("admin" in refused.json()["detail"], refused.content)
    attack.refused(way is as_a_raised_role or not stage.reaches_rob())
    attack.refused(not Grant.objects.filter(role__in=["editor", "manager"], user=None).exists())
    own = way(stage, stage.mia, stage.entries(("a group of mine", role)))
    attack.allowed(own.status_code == 200, own.content)
    attack.allowed(way is by_preview or stage.reaches_rob())


@pytest.mark.parametrize("subject", FORBIDDEN)
@pytest.mark.parametrize("way", [by_key, by_session, by_preview, as_a_raised_role], ids=by_name)
def test_admin_grants_what_a_manager_cannot(attack: Attack, stage: Stage, way: Put, subject: str) -> None:
    entries = stage.entries((subject, "reader"))
    attack.refused(way(stage, stage.mia, entries).status_code == 403)
    allowed = way(stage, stage.admin, entries)
    attack.allowed(allowed.status_code == 200, allowed.content)
    attack.allowed(way is by_preview or stage.reaches_rob())


@pytest.mark.parametrize("subject", FORBIDDEN)
def test_resent_grant_list_does_not_restore_revoked_access(
    attack: Attack, stage: Stage, subject: str
) -> None:
    """Sending a list again preserves grants, but adds none that an admin has removed."""
    path, entries = f"/knowledge-bases/{stage.base.id}/grants", stage.entries((subject, "reader"))
    stage.admin.put(path, entries)
    attack.allowed(stage.mia.put(path, entries).status_code == 200)
    attack.allowed(stage.reaches_rob())
    stage.admin.put(path, stage.entries())
    attack.refused(stage.mia.put(path, entries).status_code == 403)
    attack.refused(not stage.reaches_rob())


@pytest.mark.parametrize("subject", FORBIDDEN)
@pytest.mark.parametrize("change", ["kept", "lowered", "removed"])
def test_manager_preserves_lowers_and_removes_grants_of_others(
    attack: Attack, stage: Stage, subject: str, change: str
) -> None:
    path = f"/knowledge-bases/{stage.base.id}/grants"
    stage.admin.put(path, stage.entries((subject, "editor")))
    lower = {"kept": [(subject, "editor")], "lowered": [(subject, "reader")], "removed": []}[change]
    answer = stage.mia.put(path, stage.entries(*lower))
    attack.allowed(answer.json() == stage.entries(*lower), answer.content)
    attack.refused(stage.mia.put(path, stage.entries((subject, "manager"))).status_code == 403)


def test_former_group_manager_grants_nothing(attack: Attack, stage: Stage) -> None:
    path, entries = f"/knowledge-bases/{stage.base.id}/grants", stage.entries(("a group of mine", "reader"))
    group = f"/groups/{stage.groups['a group of mine'].id}"
    attack.allowed(stage.mia.put(path, entries).status_code == 200)
    stage.mia.put(path, stage.entries())
    stage.admin.patch(group, {"managers": []})
    attack.refused(stage.mia.put(path, entries).status_code == 403)
    attack.refused(not stage.reaches_rob())


def test_managing_a_group_opens_no_foreign_knowledge_bases(attack: Attack, stage: Stage) -> None:
    closed = make_base(name="Board", principal=stage.admin.principal)
    entries = stage.entries(("a group of mine", "reader"))
    attack.refused(stage.mia.put(f"/knowledge-bases/{closed.id}/grants", entries).status_code == 404)
    attack.refused(not stage.reaches_rob(closed))
    attack.allowed(stage.mia.put(f"/knowledge-bases/{stage.base.id}/grants", entries).status_code == 200)


GROUP_CHANGES: tuple[dict[str, Any], ...] = ({"managers": "ME"}, {"members": "ME"}, {"name": "Mine"})


@pytest.mark.parametrize("change", GROUP_CHANGES, ids=lambda change: next(iter(change)))
@pytest.mark.parametrize("group", ["a group of others", "a group of mine"])
def test_only_admins_change_groups(attack: Attack, stage: Stage, change: dict[str, Any], group: str) -> None:
    """Neither the right to grant nor the people of a group are to be had by changing the group."""
    body = {name: [str(stage.mia.user.id)] if value == "ME" else value for name, value in change.items()}
    path = f"/groups/{stage.groups[group].id}"
    attack.refused(stage.mia.patch(path, body).status_code == 403)
    attack.allowed(stage.admin.patch(path, body).status_code == 200)


def test_directory_cannot_make_group_managers(attack: Attack, stage: Stage) -> None:
    """Not even with the key that provisions people: who may grant is decided here."""
    made = _scim(stage, "POST", "/Groups", {"displayName": "Sales", "managers": [_value(stage.mia)]})
    attack.allowed(made.status_code == 201, made.content)
    group = Group.objects.get(pk=made.json()["id"])
    for value in ([_value(stage.mia)], {"members": [_value(stage.mia)], "managers": [_value(stage.mia)]}):
        operation = {"op": "add", "path": "managers", "value": value}
        if isinstance(value, dict):
            operation = {"op": "replace", "value": value}
        _scim(stage, "PATCH", f"/Groups/{group.id}", {"schemas": [SCIM_PATCH], "Operations": [operation]})
    attack.refused(not group.managers.exists())
    entries = [*stage.entries(), {"subject": f"group:{group.id}", "role": "reader"}]
    attack.refused(by_key(stage, stage.mia, entries).status_code == 403)
    attack.allowed(by_key(stage, stage.admin, entries).status_code == 200)


def _scim(stage: Stage, method: str, path: str, body: dict[str, Any]) -> Response:
    headers = {"Authorization": f"Bearer {stage.admin.key}"}
    data = {"data": body, "content_type": "application/scim+json", "headers": headers}
    return getattr(from_elsewhere(), method.lower())(f"/scim/v2{path}", **data)


def _value(caller: Caller) -> dict[str, str]:
    return {"value": str(caller.user.id)}


Sending = Callable[[Stage, list[str]], Response]


def in_an_upload(stage: Stage, readers: list[str]) -> Response:
    return stage.mia.upload(str(stage.base.id), "pay.md", CONTENT, readers=_json(readers))


def in_a_change(stage: Stage, readers: list[str]) -> Response:
    file = SimpleUploadedFile("pay.md", CONTENT)
    document = document_submit(
        Upload(file, "pay.md"), knowledge_base=stage.base, principal=stage.mia.principal
    ).document
    return stage.mia.patch(f"/documents/{document.id}", {"readers": readers})


def in_an_import(stage: Stage, readers: list[str]) -> Response:
    opened = stage.mia.post(f"/knowledge-bases/{stage.base.id}/imports", {"label": "drive"}).json()
    form = {"readers": _json(readers), "import": opened["id"]}
    return stage.mia.upload(str(stage.base.id), "pay.md", CONTENT, **form)


def in_parts(stage: Stage, readers: list[str]) -> Response:
    body = {"knowledge_base": str(stage.base.id), "filename": "pay.md", "size": len(CONTENT)}
    upload = stage.mia.post("/uploads", {**body, "readers": readers}).json()["id"]
    for offset in range(0, len(CONTENT), 1 << 16):
        Client().patch(
            f"/api/v1/uploads/{upload}?offset={offset}",
            CONTENT[offset : offset + (1 << 16)],
            content_type="application/octet-stream",
            headers={"Authorization": f"Bearer {stage.mia.key}"},
        )
    return stage.mia.post(f"/uploads/{upload}/complete")


def _json(readers: list[str]) -> str:
    return "[" + ", ".join(f'"{each}"' for each in readers) + "]"


@pytest.mark.parametrize("subject", [*FORBIDDEN, "a group of mine"])
@pytest.mark.parametrize("way", [in_an_upload, in_a_change, in_an_import, in_parts], ids=by_name)
def test_document_readers_gain_no_access_to_the_knowledge_base(
    attack: Attack, stage: Stage, way: Sending, subject: str
) -> None:
    """Readers only restrict: naming everyone or any group shows the document to no additional person."""
    answer = way(stage, [stage.subject(subject)])
    attack.allowed(answer.status_code in {200, 201, 202}, answer.content)
    document = Document.objects.get()
    attack.refused(stage.rob.get(f"/documents/{document.id}").status_code == 404)
    attack.refused(not stage.reaches_rob())
    grant_give(
        knowledge_base=stage.base,
        subject=f"user:{stage.rob.user.id}",
        role=Role.READER,
        principal=stage.mia.principal,
    )
    attack.allowed(stage.rob.get(f"/documents/{document.id}").status_code == 200)


@pytest.mark.parametrize("subject", FORBIDDEN)
def test_services_enforce_grants_without_a_request(attack: Attack, stage: Stage, subject: str) -> None:
    """Whatever interface calls them, with a key that is limited to this very knowledge base, too."""
    row, _ = api_key_create(user=stage.mia.user, label="job", knowledge_bases=[stage.base.id])
    principals = stage.mia.principal, principal_for_key(ApiKey.objects.select_related("user").get(pk=row.pk))
    for principal in principals:
        with pytest.raises(Forbidden):
            grant_give(
                knowledge_base=stage.base,
                subject=stage.subject(subject),
                role=Role.READER,
                principal=principal,
            )
        with pytest.raises(Forbidden):
            require_may_grant(principal, stage.base, {_parsed(stage, subject): Role.READER}, {})
    attack.refused(not stage.reaches_rob())
    wanted = [(stage.subject("a group of mine"), Role.READER), (f"user:{stage.mia.user.id}", Role.MANAGER)]
    grants_replace(knowledge_base=stage.base, grants=wanted, principal=principals[1])
    attack.allowed(stage.reaches_rob())


def _parsed(stage: Stage, subject: str) -> tuple[None, Any]:
    return None, None if subject == "everyone" else stage.groups[subject].id


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("subject", FORBIDDEN)
def test_concurrent_grants_do_not_undo_a_revocation(attack: Attack, stage: Stage, subject: str) -> None:
    """An admin takes access away while the manager sends the old list again and again."""
    path = f"/knowledge-bases/{stage.base.id}/grants"
    before, after = stage.entries((subject, "reader")), stage.entries()
    stage.admin.put(path, before)
    attack.allowed(stage.mia.put(path, before).status_code == 200)
    together = Barrier(4)

    def send(caller: Caller, entries: Entries) -> int:
        try:
            together.wait()
            return int(Caller(caller.user, caller.key).put(path, entries).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        revoked = pool.submit(send, stage.admin, after)
        kept = [pool.submit(send, stage.mia, before) for _ in range(3)]
        attack.allowed(revoked.result() == 200)
        attack.refused({each.result() for each in kept} <= {200, 403})
    attack.refused(not stage.reaches_rob())


def test_former_manager_cannot_regain_access(attack: Attack, stage: Stage) -> None:
    """The right is looked up when the list is changed, not when the request came."""
    principal, entries = stage.mia.principal, [(f"user:{stage.mia.user.id}", Role.MANAGER)]
    grants_replace(knowledge_base=stage.base, grants=entries, principal=principal)
    attack.allowed(stage.mia.get(f"/knowledge-bases/{stage.base.id}").status_code == 200)
    grants_replace(knowledge_base=stage.base, grants=[], principal=SETUP)
    with pytest.raises(Forbidden):
        grants_replace(knowledge_base=stage.base, grants=entries, principal=principal)
    attack.refused(stage.mia.get(f"/knowledge-bases/{stage.base.id}").status_code == 404)
