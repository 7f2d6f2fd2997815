"""An install with files in a bucket is backed up, destroyed and restored."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.backends import free_port
from tests.cairn.inference.server import FakeServer
from tests.installs import Install, ended
from tests.models import model_settings
from tests.web.backup.running import manage, ok

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

BUCKET, REGION, PREFIX = "files", "eu-central-1", "cairn"
QUESTION = "Where does form 3 of rule 1.2.3 go?"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    access = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": REGION}
    made = boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{port}", **access).Bucket(BUCKET)
    made.create(CreateBucketConfiguration={"LocationConstraint": REGION})
    yield made
    server.stop()


@pytest.fixture
def install(own_folder: Path, bucket: Any, models: FakeServer) -> Iterator[Install]:
    settings = {
        "S3_ENDPOINT_URL": bucket.meta.client.meta.endpoint_url,
        "S3_BUCKET": BUCKET,
        "S3_PREFIX": PREFIX,
        "S3_REGION": REGION,
        "S3_ACCESS_KEY": "key",
        "S3_SECRET_KEY": "secret",
        "S3_ADDRESSING": "path",
    }
    with ended(Install(own_folder, **settings, **model_settings(models))) as made:
        yield made


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def stored_objects(bucket: Any) -> dict[str, bytes]:
    return {each.key: each.get()["Body"].read() for each in bucket.objects.all()}


def contents(install: Install) -> dict[str, bytes]:
    listed = install.ask("GET", "/documents", params={"limit": 200}).json()["items"]
    return {d["source_uri"]: install.ask("GET", f"/documents/{d['id']}/content").content for d in listed}


def hits(install: Install) -> list[tuple[str, float]]:
    asked = install.ask("POST", "/search", json={"query": QUESTION, "top_k": 10}).json()["results"]
    return [(hit["chunk"], round(hit["score"], 5)) for hit in asked]


def test_bucket_backup_restores_files(install: Install, bucket: Any, tmp_path: Path) -> None:
    gold, shelf = tmp_path / "gold.jsonl", tmp_path / "shelf"
    gold.write_text(json.dumps({"id": "form", "question": QUESTION, "relevant": ["rules/rules-01.md"]}))

    install.start().bring("rules", 3)
    install.wait_settled()
    before, found, there = contents(install), hits(install), stored_objects(bucket)
    assert len(before) == 3
    assert found
    slug = install.ask("GET", "/knowledge-bases").json()["items"][0]["slug"]
    ok(manage(install, "backup", str(shelf / "monday"), "--gold", str(gold), "--kb", slug))
    names = {path.relative_to(shelf / "monday/files").as_posix() for path in _files(shelf / "monday/files")}
    assert {f"{PREFIX}/{name}" for name in names} == set(there)

    install.stop()
    bucket.objects.all().delete()
    for path in install.data_dir.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in {"backup_key", "models", "test_key"}:
            path.unlink()
    told = json.loads(ok(manage(install, "restore", str(shelf / "monday"), "--json")).stdout)
    assert (told["documents"], told["answered_otherwise"]) == (3, [])
    assert stored_objects(bucket) == there

    install.start()
    assert contents(install) == before
    assert hits(install) == found
    install.bring("late", 2)
    install.wait_settled()
    assert len(stored_objects(bucket)) > len(there)
    install.stop()
    assert "files" in ok(manage(install, "restore", str(shelf / "monday")), 1).stderr
    ok(manage(install, "restore", str(shelf / "monday"), "--force"))
    assert stored_objects(bucket) == there, "what was brought later is lost, also its words"


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
