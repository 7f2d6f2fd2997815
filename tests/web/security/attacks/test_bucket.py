"""Files in an S3 bucket, as seen by somebody with access to the server."""

import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from cairn.library.models import DocumentVersion, KnowledgeBase
from ingestion.erasure import documents
from ingestion.models import Receipt
from retrieval.engine import Engine
from tests.indexes import as_if_rewritten
from tests.web.api.conftest import Caller, streamed
from tests.web.api.test_bucket import (
    BUCKET,
    TEXT,
    bucket_proxy,
    files_in_memory,
    parser,
    server,
    stored_keys,
    upload,
    worked,
)
from tests.web.security.attacks.recorder import Attack
from tests.web.working import pool

__all__ = ["bucket_proxy", "files_in_memory", "parser", "pool", "server"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600), pytest.mark.slow]


def client() -> Any:
    return default_storage.connection.meta.client


def everything() -> list[bytes]:
    """The content of all versions in the bucket, also of those that a deletion has hidden."""
    found = client().list_object_versions(Bucket=BUCKET).get("Versions", [])
    return [
        client().get_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
        for each in found
    ]


@pytest.fixture
def versioned() -> Any:
    """The bucket keeps old versions, as many operators configure it."""
    client().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield
    client().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    default_storage.bucket.object_versions.delete()


def test_erasure_deletes_every_object_version(
    attack: Attack, mia: Caller, base: KnowledgeBase, parts: Engine, versioned: None
) -> None:
    document = upload(mia, base).json()["document"]["id"]
    version = DocumentVersion.objects.get()
    default_storage.save(version.original, ContentFile(TEXT))  # an older version of the same file
    attack.allowed(TEXT in everything(), "it is there before")
    mia.delete(f"/documents/{document}")
    documents.erase(Receipt.objects.get().id, parts.index)
    as_if_rewritten()
    assert Receipt.objects.get().state == "done"
    attack.refused(everything() == [], "nothing is left behind a delete marker")
    attack.refused("DeleteMarkers" not in client().list_object_versions(Bucket=BUCKET))


def test_erasure_preserves_objects_with_a_longer_name(
    attack: Attack, mia: Caller, base: KnowledgeBase, parts: Engine, versioned: None
) -> None:
    document = upload(mia, base).json()["document"]["id"]
    version = DocumentVersion.objects.get()
    default_storage.save(f"{version.original}-other", ContentFile(b"somebody else's"))
    mia.delete(f"/documents/{document}")
    documents.erase(Receipt.objects.get().id, parts.index)
    attack.refused(TEXT not in everything())
    attack.allowed(everything() == [b"somebody else's"])


def test_objects_are_private(attack: Attack, mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    upload(mia, base)
    worked()
    grants = [
        grant["Grantee"].get("URI", "")
        for key in stored_keys()
        for grant in client().get_object_acl(Bucket=BUCKET, Key=key)["Grants"]
    ]
    attack.refused(not any("AllUsers" in each or "AuthenticatedUsers" in each for each in grants), grants)
    attack.allowed(len(stored_keys()) == 2)


@pytest.mark.parametrize("name", ["../../escaped.txt", "/etc/passwd.txt", "Payroll 2027.txt", "ä\u202e.txt"])
def test_object_names_reveal_nothing_and_stay_inside_the_bucket(
    attack: Attack, mia: Caller, base: KnowledgeBase, name: str
) -> None:
    made = mia.upload(str(base.id), "a.txt", TEXT, source_uri=name, title=name)
    attack.allowed(made.status_code == 202, made.content)
    [key] = stored_keys()
    attack.refused(re.fullmatch(r"cairn/originals/[0-9a-f/-]+(\.\w+)?", key) is not None, key)


PLACES = (
    "/api/v1/documents/{0}", "/api/v1/documents/{0}/rendition", "/api/v1/documents/{0}/chunks",
    "/library/documents/{0}", "/library/documents/{0}/passages", "/api/v1/documents/{0}/content",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_bucket_addresses_are_never_revealed(
    attack: Attack, mia: Caller, base: KnowledgeBase, parts: Engine, bucket_proxy: Any, place: str
) -> None:
    """A presigned address could be passed on, and would outlast the permission."""
    document = upload(mia, base).json()["document"]["id"]
    worked()
    mia.client.force_login(mia.user)
    response = mia.client.get(place.format(document))
    attack.allowed(response.status_code == 200)
    told = streamed(response) if response.streaming else response.content
    text = f"{told.decode()} {dict(response.items())}"
    found = [
        word
        for word in ("X-Amz-", "Signature=", "AWSAccessKeyId", bucket_proxy.url, BUCKET + "/")
        if word in text
    ]
    attack.refused(found == [], found)
