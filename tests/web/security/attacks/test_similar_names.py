"""Names that look like those of an access check's own objects belong to real people and real data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cairn.access.models import AccessCheck, ArtifactKind, CheckArtifact
from cairn.accounts.models import Group, User
from cairn.library.models import Document, KnowledgeBase
from ingestion.parse.sandbox.pool import ParserPool
from retrieval.engine import Engine
from retrieval.gaps.models import GapQuestion
from tests.bases import make_base
from tests.web.api.conftest import Caller, caller_for, pool
from tests.web.security.attacks.recorder import Attack
from tests.web.working import files_on_disk, work_at_once
from web.access_checks import canary_check
from web.access_checks.artifacts import create_user
from web.access_checks.sampling import check_spots
from web.tasks import verify_access

__all__ = ["pool"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
Check = Callable[[], AccessCheck]

NAMES = ["access-check-team", "access-check-", "access-check-0123abcd", "Access check procedures"]


@pytest.fixture
def check(
    monkeypatch: pytest.MonkeyPatch,
    pool: ParserPool,
    parts: Engine,
    settings: Any,
    tmp_path: Path,
    admin: Caller,
) -> Check:
    files_on_disk(settings, tmp_path / "files")
    work_at_once(monkeypatch, pool, {"web.verify_access": verify_access})
    monkeypatch.setattr(canary_check, "LOOK_SECONDS", 0.01)

    def run() -> AccessCheck:
        return AccessCheck.objects.get(pk=admin.post("/access-checks", {}).json()["id"])

    return run


def test_access_check_deletes_only_its_own_objects(attack: Attack, check: Check, admin: Caller) -> None:
    for name in NAMES:
        base = admin.post("/knowledge-bases", {"name": name}).json()["id"]
        assert admin.upload(base, "steps.md", b"# Steps\n\nLock the door.").status_code == 202
        assert admin.post("/groups", {"name": f"{name} group"}).status_code == 201
        assert admin.post("/users", {"username": name.replace(" ", "-")}).status_code == 201
    before = [set(model.objects.values_list("pk", flat=True)) for model in (Group, User, Document)]
    done = check()
    present = Document.objects.present()
    after = [set(rows.values_list("pk", flat=True)) for rows in (Group.objects, User.objects, present)]
    attack.refused(after == before)
    kept = set(KnowledgeBase.objects.filter(deleted_at=None).values_list("name", flat=True))
    attack.refused(kept == set(NAMES), kept)
    attack.allowed((done.state, done.error) == ("passed", ""), done.error)
    made = KnowledgeBase.objects.exclude(deleted_at=None).count()
    attack.allowed(done.probes > 500 and made == 2 and not CheckArtifact.objects.exists(), made)


@pytest.mark.parametrize("name", ["access-check-nosy", "access-check-0123abcd-reader"])
def test_user_with_a_similar_name_is_included_in_spot_checks(
    attack: Attack, check: Check, admin: Caller, mia: Caller, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A leak to the person or of the knowledge base must be found. What a check created does not count."""
    caller_for(name)
    base = str(make_base(name=f"Access check of {name}", principal=mia.principal).id)
    KnowledgeBase.objects.filter(pk=base).update(slug=f"access-check-of-{name}")
    assert mia.upload(base, "pay.md", b"# Pay\n\nThe director earns 90,000.").status_code == 202
    attack.refused(check_spots().probes == 1)
    create_user(AccessCheck.objects.create(), "made-up")
    attack.allowed(check_spots().probes == 1)


@pytest.mark.parametrize("name", ["access-check-nosy", "access-check-0123abcd-reader"])
def test_refused_question_of_a_user_with_a_similar_name_is_a_gap(
    attack: Attack, parts: Engine, mia: Caller, name: str
) -> None:
    base = str(make_base(name="Handbook", principal=mia.principal).id)
    asker = caller_for(name)
    grants = [
        {"subject": f"user:{mia.user.id}", "role": "manager"},
        {"subject": f"user:{asker.user.id}", "role": "reader"},
    ]
    assert mia.put(f"/knowledge-bases/{base}/grants", grants).status_code == 200

    def counts() -> bool:
        body = {"question": "Where may visitors park?", "knowledge_bases": [base]}
        answer = asker.post("/ask", body).json()
        assert answer["verdict"] == "refused"
        return GapQuestion.objects.filter(message=answer["id"]).exists()

    attack.refused(counts())
    CheckArtifact.objects.create(kind=ArtifactKind.USER, object_id=asker.user.id)
    attack.allowed(not counts())
