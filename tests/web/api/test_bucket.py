"""Files in a bucket, on a server of this run that speaks S3, which goes away and comes back."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from moto.server import ThreadedMotoServer

from cairn.errors import Unavailable
from cairn.library import storage
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import environment
from cairn.settings.env import Environment
from cairn.settings.storage import storage_settings
from ingestion.erasure import documents
from ingestion.jobs import lifecycle
from ingestion.models import Job, Lane, Receipt
from ingestion.parse import parser_pool
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.pipeline import run
from retrieval.engine import Engine
from tests.backends import free_port
from tests.balancer import Balancer
from tests.web.api.conftest import Caller, assert_problem, streamed
from tests.web.api.test_partial_uploads import CONTENT, LEAST, begin, send, send_all
from web.api import health

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120), pytest.mark.slow]

BUCKET, REGION = "files", "eu-central-1"
TEXT = b"The zebra has seventeen stripes."
LARGE = 20 << 20


def given(**more: Any) -> Environment:
    known = {
        "s3_bucket": BUCKET,
        "s3_prefix": "cairn",
        "s3_access_key": "key",
        "s3_secret_key": "secret",
        "s3_region": REGION,
        "s3_addressing": "path",
    }
    return Environment.model_validate({**known, **more})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def bucket_proxy(server: str) -> Iterator[Balancer]:
    """Through which the server is reached."""
    with Balancer([server], checked=False) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def files_in_memory(bucket_proxy: Balancer, settings: Any) -> Iterator[None]:
    """Store files in the bucket, which is empty at first."""
    found = given(s3_endpoint_url=bucket_proxy.url)
    settings.STORAGES = {**settings.STORAGES, "default": storage_settings(found, folder=settings.MEDIA_ROOT)}
    client = default_storage.connection.meta.client
    if BUCKET not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    bucket = default_storage.bucket
    yield
    bucket_proxy.faults.cut_after = None
    bucket.objects.all().delete()


@pytest.fixture(autouse=True)
def parser(monkeypatch: pytest.MonkeyPatch, pool: ParserPool) -> None:
    monkeypatch.setattr(parser_pool, "_pool", pool)


def stored_keys() -> set[str]:
    return {each.key for each in default_storage.bucket.objects.all()}


def upload(caller: Caller, base: KnowledgeBase, content: bytes = TEXT) -> Any:
    return caller.upload(str(base.id), "zebra.txt", content)


def worked() -> None:
    while (lease := lifecycle.claim_next(Lane.BULK)) is not None:
        run.process(lease)


def test_document_is_stored_in_the_bucket_and_erased_from_it(
    mia: Caller, base: KnowledgeBase, parts: Engine
) -> None:
    document = upload(mia, base).json()["document"]["id"]
    worked()
    assert Job.objects.get().stage == "ready"
    version = Document.objects.get().active_version
    assert version is not None
    assert stored_keys() == {f"cairn/{version.original}", f"cairn/{version.rendition}"}
    assert streamed(mia.get(f"/documents/{document}/content")) == TEXT
    assert "seventeen" in mia.post("/search", {"query": "How many stripes has the zebra?"}).content.decode()
    mia.delete(f"/documents/{document}")
    documents.erase(Receipt.objects.get().id, parts.index)
    assert Receipt.objects.get().removed["files"] == 2
    assert stored_keys() == set()


def test_file_is_uploaded_in_parts(mia: Caller, base: KnowledgeBase) -> None:
    begun = begin(mia, base).json()["id"]
    send(mia, begun, 0, CONTENT[:LEAST])
    assert {name.split("/")[1] for name in stored_keys()} == {"parts"}
    again = begin(mia, base).json()["id"]
    send_all(mia, again)
    assert mia.post(f"/uploads/{again}/complete").status_code == 202
    mia.delete(f"/uploads/{begun}")
    version = Document.objects.get().latest_version
    assert version is not None
    assert stored_keys() == {f"cairn/{version.original}"}
    with default_storage.open(version.original) as file:
        assert file.read() == CONTENT


def test_large_file_is_fetched_in_ranges(bucket_proxy: Balancer) -> None:
    """Parsers get a file on the disk, whatever the storage."""
    content = bytes(range(256)) * (LARGE >> 8)
    name = default_storage.save("originals/large", ContentFile(content))
    with storage.as_local_path(name) as path:
        assert path.read_bytes() == content
    assert not path.exists()
    client = default_storage.connection.meta.client
    found = client.get_object(Bucket=BUCKET, Key=f"cairn/{name}", Range="bytes=1000-1255")
    assert found["Body"].read() == content[1000:1256]
    assert client.head_object(Bucket=BUCKET, Key=f"cairn/{name}")["ETag"].endswith('-3"')  # sent in parts


def test_unreachable_bucket_makes_uploads_return_503(
    mia: Caller, base: KnowledgeBase, bucket_proxy: Balancer
) -> None:
    bucket_proxy.faults.cut_after = 0  # every connection is cut
    answer = upload(mia, base)
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert Document.objects.count() == 0


def test_unreachable_bucket_delays_jobs_until_it_returns(
    mia: Caller, base: KnowledgeBase, parts: Engine, bucket_proxy: Balancer
) -> None:
    document = upload(mia, base).json()["document"]["id"]
    bucket_proxy.faults.cut_after = 0
    lease = lifecycle.claim_next(Lane.BULK)
    assert lease is not None
    run.process(lease)
    job = Job.objects.get()
    assert (job.stage, job.attempts) == ("queued", 1)
    assert_problem(mia.get(f"/documents/{document}/content"), 503, "unavailable")
    bucket_proxy.faults.cut_after = None
    Job.objects.update(not_before=None)
    worked()
    assert Job.objects.get().stage == "ready"


def test_erasure_is_pending_while_the_bucket_is_unreachable(
    mia: Caller, base: KnowledgeBase, parts: Engine, bucket_proxy: Balancer
) -> None:
    document = upload(mia, base).json()["document"]["id"]
    mia.delete(f"/documents/{document}")
    bucket_proxy.faults.cut_after = 0
    with pytest.raises(Unavailable):
        documents.erase(Receipt.objects.get().id, parts.index)
    bucket_proxy.faults.cut_after = None
    assert Receipt.objects.get().state == "pending"
    documents.erase(Receipt.objects.get().id, parts.index)
    assert stored_keys() == set()


def test_readiness_reports_an_unreachable_bucket_without_failing_the_process(
    bucket_proxy: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECKS", {})
    monkeypatch.setattr(health, "environment", lambda: environment().model_copy(update={"s3_bucket": BUCKET}))
    assert Client().get("/readyz").json()["checks"]["files"]["ok"]
    bucket_proxy.faults.cut_after = 0
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["files"]["ok"]) == (200, False)


def test_missing_bucket_is_an_error(settings: Any, bucket_proxy: Balancer) -> None:
    found = given(s3_endpoint_url=bucket_proxy.url, s3_bucket="elsewhere")
    settings.STORAGES = {**settings.STORAGES, "default": storage_settings(found, folder=settings.MEDIA_ROOT)}
    with pytest.raises(FileNotFoundError):
        storage.check_file_storage()
    with pytest.raises(FileNotFoundError):
        storage.original_save(Document().id, ContentFile(TEXT))
