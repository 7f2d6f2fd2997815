"""Objects of a real S3 server, and who may read them by an access file."""

import json
import random
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from pydantic import ValidationError

from cairn.access.source_access import EVERYONE, SourceAccess, SourceGroup, SourcePerson
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.s3 import S3Options, transport
from ingestion.sources.kinds.s3 import source as s3
from ingestion.sources.kinds.s3.access_file import AccessFile, InvalidAccessFile
from ingestion.sources.protocol import (
    Change,
    Complete,
    Item,
    ItemChanged,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    first_problem,
)
from tests.ingestion.sources.access_by_source import FollowingBase
from tests.ingestion.sources.s3_server import BUCKET, READER, SeaweedFs, secret_of
from tests.ingestion.sources.webdav_server import answering

pytestmark = pytest.mark.slow

FOLDERS = ("finance/", "finance/2026/", "shared/", "Grüße/", "shared-not/")
PEOPLE = {
    "ada": ["finance/", "shared/"],
    "eve": ["shared/"],
    "joe": ["finance/2026/", "Grüße/"],
    "none": ["nowhere/"],
}
KEYS = [f"{folder}{name}" for folder in ("", *FOLDERS) for name in ("a.md", "ü b&c+d#e%20.md", "日本語.txt")]


@pytest.fixture(scope="module")
def running() -> Iterator[SeaweedFs]:
    server = SeaweedFs(PEOPLE)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def server(running: SeaweedFs) -> Iterator[SeaweedFs]:
    for key in KEYS:
        running.put(key, f"This is {key}.")
    yield running
    for row in running.client("admin").list_objects_v2(Bucket=BUCKET).get("Contents", []):
        running.delete(row["Key"])


def options(url: str, **others: Any) -> S3Options:
    given = {
        "endpoint_url": url,
        "bucket": BUCKET,
        "access_key_id": READER,
        "secret_access_key": secret_of(READER),
    }
    return S3Options(**{**given, **others})


def list_all(url: str, **others: Any) -> list[Change]:
    with s3.connect(options(url, **others)) as source:
        return list(source.list_changes(""))


def items_of(changes: list[Change]) -> dict[str, Item]:
    return {f"{each.container}/{each.name}".lstrip("/"): each for each in changes if isinstance(each, Item)}


def access_of(url: str, **others: Any) -> dict[str, SourceAccess]:
    with s3.connect(options(url, access_file="access.json", **others)) as source:
        items = [each for each in source.list_changes("") if isinstance(each, Item)]
        return dict(source.list_access(items))


def code_of(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value.message.code)


def test_every_object_is_listed_and_read(server: SeaweedFs) -> None:
    changes = list_all(server.url)
    found = items_of(changes)
    assert found.keys() == set(KEYS)
    assert changes[-1] == Complete()
    with s3.connect(options(server.url)) as source:
        for key, item in found.items():
            with source.open(item) as content:
                assert content.read().decode() == f"This is {key}."
            assert item.size == len(f"This is {key}.".encode())


def test_s3_kind_is_registered_and_its_check_succeeds(server: SeaweedFs) -> None:
    kind = get_kind("s3")
    server.put("access.json", "[]")
    with kind.connect(options(server.url, access_file="access.json")) as source:
        steps = list(source.check())
    assert [step.problem for step in steps] == ["", "", ""]
    assert steps[0].warning.startswith("The connection isn’t encrypted")


def test_paginated_listing_is_read_completely(server: SeaweedFs, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3.connect(options(server.url)) as source:
        client = source._client
        client.meta.events.register(
            "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 3}
        )
        found = [each for each in source.list_changes("") if isinstance(each, Item)]
    assert sorted(item.uri for item in found) == sorted(f"s3://{BUCKET}/{key}" for key in KEYS)


def test_only_objects_below_the_prefix_are_listed(server: SeaweedFs) -> None:
    assert items_of(list_all(server.url, prefix="shared/")).keys() == {
        key for key in KEYS if key.startswith("shared/")
    }
    assert isinstance(list_all(server.url, prefix="nowhere/")[-1], Complete)


def test_version_changes_only_with_the_content(server: SeaweedFs) -> None:
    before = items_of(list_all(server.url))
    server.put("finance/a.md", "Another text.")
    server.put("shared/a.md", "This is shared/a.md.")
    after = items_of(list_all(server.url))
    assert {key for key in KEYS if before[key].version != after[key].version} == {"finance/a.md"}


def test_large_object_is_read_completely(server: SeaweedFs) -> None:
    content = random.Random(3).randbytes(20_000_000)
    server.put("large.bin", content)
    item = items_of(list_all(server.url))["large.bin"]
    with s3.connect(options(server.url)) as source, source.open(item) as file:
        assert file.read() == content


def test_wrong_keys_and_missing_buckets_are_refused(server: SeaweedFs) -> None:
    refusals = {
        "source_key_refused": {"secret_access_key": "wrong"},
        "source_folder_refused": {"access_key_id": "eve", "secret_access_key": secret_of("eve")},
        "source_folder_missing": {
            "bucket": "nowhere",
            "access_key_id": "admin",
            "secret_access_key": secret_of("admin"),
        },
    }
    for code, others in refusals.items():
        with pytest.raises(SourceRefused) as refused:
            list_all(server.url, **others)
        assert code_of(refused) == code
        with s3.connect(options(server.url, **others)) as source:
            assert first_problem(source.check())


def test_missing_changed_and_forbidden_objects_have_different_errors(server: SeaweedFs) -> None:
    found = items_of(list_all(server.url))
    server.delete("finance/a.md")
    server.put("a.md", "Another text.")
    with s3.connect(options(server.url)) as source:
        with pytest.raises(ItemUnavailable) as gone, source.open(found["finance/a.md"]):
            pass
        with pytest.raises(ItemChanged), source.open(found["a.md"]):
            pass
    joe = {"access_key_id": "joe", "secret_access_key": secret_of("joe")}
    with (
        s3.connect(options(server.url, **joe)) as source,
        pytest.raises(ItemUnavailable) as refused,
        source.open(found["shared/a.md"]),
    ):
        pass
    assert (code_of(gone), code_of(refused)) == ("source_item_gone", "source_item_refused")


def test_objects_of_a_bucket_configured_before_are_not_asked_for(server: SeaweedFs) -> None:
    item = Item(id="a.md", name="a.md", uri="s3://former/a.md", version="1")
    with s3.connect(options(server.url)) as source, pytest.raises(ItemUnavailable), source.open(item):
        pass


def test_server_failing_during_a_listing_completes_nothing(server: SeaweedFs) -> None:
    seen: list[Change] = []
    with s3.connect(options(server.url)) as source:
        client = source._client
        client.meta.events.register(
            "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 3}
        )
        changes = source.list_changes("")
        try:
            seen.extend(next(changes) for _ in range(3))
            server.kill()
            with pytest.raises(SourceUnavailable) as away:
                deque(map(seen.append, changes))
        finally:
            server.start()
    assert code_of(away) == "source_away"
    assert not any(isinstance(change, Complete) for change in seen)


# who may read


def make_file(people: dict[str, list[str]]) -> str:
    """An access file that says what the server's own rules say: a prefix includes the longer ones."""
    prefixes = sorted({prefix for allowed in people.values() for prefix in allowed})
    rules = []
    for prefix in prefixes:
        names = [name for name, allowed in people.items() if any(prefix.startswith(each) for each in allowed)]
        entries = [{"Name": name, "Type": "USER", "Access": "ALLOW"} for name in names]
        rules.append({"keyPrefix": f"s3://{BUCKET}/{prefix}", "aclEntries": entries})
    return json.dumps(rules)


def test_s3_readers_match_the_access_file(server: SeaweedFs) -> None:
    server.put("access.json", make_file(PEOPLE))
    found = access_of(server.url)
    assert found.keys() == set(KEYS)
    allowed = {(name, key): found[key].allows({f"person:{name}"}) for name in PEOPLE for key in KEYS}
    assert allowed == {(name, key): server.may_read(name, key) for name in PEOPLE for key in KEYS}
    assert {True, False} == set(allowed.values())


@pytest.mark.django_db(transaction=True)
def test_s3_object_is_found_only_by_its_readers(server: SeaweedFs) -> None:
    server.put("access.json", make_file(PEOPLE))
    following = FollowingBase()
    following.add_people(PEOPLE)
    given = options(server.url, access_file="access.json").model_dump()
    following.sync("s3", given | {"secret_access_key": secret_of(READER)})
    following.link(**{name: f"person:{name}" for name in PEOPLE})
    shown = {name: {key for key in KEYS if server.may_read(name, key)} for name in PEOPLE}
    assert {name: following.list_synced(name) for name in PEOPLE} == shown
    following.require_canary(shown)


@pytest.mark.parametrize("seed", range(10))
def test_access_is_right_for_random_rules(server: SeaweedFs, seed: int) -> None:
    chance = random.Random(seed)
    people = {name: chance.sample([*FOLDERS, "a", "Gr"], chance.randint(1, 3)) for name in PEOPLE}
    server.replace_people(people)
    try:
        server.put("access.json", make_file(people))
        found = access_of(server.url)
        for name in people:
            for key in KEYS:
                assert found[key].allows({f"person:{name}"}) == server.may_read(name, key), (
                    name,
                    key,
                    people,
                )
    finally:
        server.replace_people(PEOPLE)


def test_changed_access_file_applies_to_the_next_sync(server: SeaweedFs) -> None:
    server.put("access.json", make_file({"ada": ["finance/"]}))
    assert access_of(server.url)["finance/a.md"].allows({"person:ada"})
    server.put("access.json", make_file({"eve": ["finance/"]}))
    assert not access_of(server.url)["finance/a.md"].allows({"person:ada"})
    assert access_of(server.url)["finance/a.md"].allows({"person:eve"})


@pytest.mark.parametrize("content", [None, "not: [a file", '{"access": 1}', "", "[" * 100_000])
def test_missing_or_invalid_access_file_denies_everyone(server: SeaweedFs, content: str | None) -> None:
    if content is not None:
        server.put("access.json", content)
    assert all(
        access.unknown and not access.allows({"person:ada"}) for access in access_of(server.url).values()
    )
    with s3.connect(options(server.url, access_file="access.json")) as source:
        with pytest.raises(SourceRefused):
            list(source.list_people())
        assert "access.json" in first_problem(source.check())


def test_access_is_unknown_without_an_access_file(server: SeaweedFs) -> None:
    with s3.connect(options(server.url)) as source:
        items = [each for each in source.list_changes("") if isinstance(each, Item)]
        assert all(access.unknown for _, access in source.list_access(items))
        assert list(source.list_people()) == []


def test_access_file_is_not_listed_as_a_document(server: SeaweedFs) -> None:
    server.put("access.json", make_file(PEOPLE))
    assert "access.json" not in items_of(list_all(server.url, access_file="access.json"))


def allows(file: AccessFile, key: str, *subjects: str) -> bool:
    return SourceAccess(levels=(file.level_for(key),)).allows(subjects)


YAML = b"""
access:
  - keyPrefix: finance/
    aclEntries:
      - {Name: finance, Type: GROUP, Access: ALLOW}
      - {Name: eve@example.org, Type: USER, Access: DENY}
  - keyPrefix: finance/public/
    aclEntries:
      - {Name: "*", Type: GROUP, Access: ALLOW}
groups:
  finance: [ada@example.org, eve@example.org]
"""


def test_longest_prefix_decides_and_denials_precede() -> None:
    file = AccessFile(YAML, bucket=BUCKET)
    assert allows(file, "finance/a.md", "group:finance")
    assert not allows(file, "finance/a.md", "group:finance", "person:eve@example.org")
    assert not allows(file, "finance/a.md", "person:finance")
    assert allows(file, "finance/public/a.md", "person:eve@example.org")
    assert file.level_for("finance/public/a.md")[0].subject == EVERYONE
    assert not allows(file, "other/a.md", "group:finance")
    assert not allows(file, "financ", "group:finance")


def test_people_and_groups_of_the_file_are_known() -> None:
    found = {each.id: each for each in AccessFile(YAML, bucket=BUCKET).list_people()}
    ada = SourcePerson("person:ada@example.org", "ada@example.org", email="ada@example.org")
    assert found[ada.id] == ada
    members = ("person:ada@example.org", "person:eve@example.org")
    assert found["group:finance"] == SourceGroup("group:finance", "finance", members)
    assert len(found) == 3


def test_rules_for_other_buckets_are_ignored() -> None:
    rules = [
        {"keyPrefix": "s3://other/", "aclEntries": [{"Name": "ada", "Type": "USER", "Access": "ALLOW"}]},
    ]
    assert not allows(AccessFile(json.dumps(rules).encode(), bucket=BUCKET), "a.md", "person:ada")


@pytest.mark.parametrize(
    "content",
    [
        b"a: &a [1]\nb: *a",
        b'[{"keyPrefix": "a", "keyPrefix": "b", "aclEntries": []}]',
        b'[{"keyPrefix": "a", "aclEntries": [{"Name": "ada", "Type": "USER", "Access": "Allow"}]}]',
        b'[{"keyPrefix": "a", "aclEntries": [{"Name": "", "Type": "USER", "Access": "ALLOW"}]}]',
        b"!!python/object/apply:os.system ['true']",
        b"\xff\xfe\x00",
        b"x" * 5_000_001,
    ],
)
def test_ambiguous_access_files_are_rejected(content: bytes) -> None:
    with pytest.raises(InvalidAccessFile):
        AccessFile(content, bucket=BUCKET)


# servers that misbehave


def send_xml(handler: BaseHTTPRequestHandler, body: str, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in {"Content-Length": str(len(body)), **given}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body.encode())


def page(keys: list[str], token: str = "") -> str:
    rows = "".join(
        f"<Contents><Key>{key}</Key><ETag>1</ETag><Size>4</Size>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    more = (
        f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        if token
        else ""
    )
    return (
        f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rows}{more}</ListBucketResult>'
    )


def test_repeating_list_is_rejected() -> None:
    answer = page(["a.md"], "1")
    with (
        answering(lambda handler: send_xml(handler, answer)) as url,
        pytest.raises(SourceUnavailable) as endless,
    ):
        list_all(url)
    assert code_of(endless) == "source_answer_endless"


def test_endless_empty_pages_are_rejected() -> None:
    tokens = iter(range(1, 1_000_000))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send_xml(handler, page([], str(next(tokens))))

    with answering(answer) as url, pytest.raises(SourceUnavailable):
        list_all(url)


def test_endless_response_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1_000_000)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(page([]).removesuffix("</ListBucketResult>").encode())
        while True:
            handler.wfile.write(b" " * 10_000)

    with answering(answer) as url, pytest.raises(SourceUnavailable) as endless:
        list_all(url)
    assert code_of(endless) == "source_answer_endless"


def test_redirects_are_not_followed() -> None:
    asked: list[str] = []
    with (
        answering(lambda handler: asked.append(handler.path)) as elsewhere,
        answering(lambda handler: send_xml(handler, "", 307, Location=elsewhere)) as url,
        pytest.raises(SourceRefused) as refused,
    ):
        list_all(url)
    assert code_of(refused) == "source_redirects"
    assert not asked


def test_object_with_a_wrong_size_fails() -> None:
    with answering(lambda handler: send_xml(handler, "half", Content_Length="8", Connection="close")) as url:
        item = Item(id="a.md", name="a.md", uri=f"s3://{BUCKET}/a.md", version="1")
        with (
            s3.connect(options(url)) as source,
            source.open(item) as content,
            pytest.raises(ItemUnavailable) as broken,
        ):
            content.read()
    assert code_of(broken) == "source_item_broken"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_retried_later(status: int) -> None:
    with answering(lambda handler: send_xml(handler, "", status)) as url, pytest.raises(SourceUnavailable):
        list_all(url)


@pytest.mark.parametrize("url", ["http://169.254.169.254", "http://[fd00:ec2::254]"])
def test_metadata_services_are_unreachable(url: str) -> None:
    with pytest.raises(SourceRefused):
        list_all(url)


@pytest.mark.parametrize(
    "url", ["ftp://a.example.org", "https://a:b@example.org", "https://example.org/bucket"]
)
def test_impossible_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        options(url)
