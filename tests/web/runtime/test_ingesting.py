from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cairn.errors import DocumentRejected, InvalidInput, Rejection, Unavailable
from web.runtime import ingesting
from web.runtime.api import ApiProblem, Json
from web.runtime.ingesting import Summary, count, knowledge_base_ensure, submit, wait
from web.runtime.uploads import Found, LocalFile, find_files


class FakeApi:
    """Documents take one more look with each `slow` step, and end as `outcome` says."""

    def __init__(self, outcome: Mapping[str, str] | None = None, *, slow: int = 0) -> None:
        self.outcome = dict(outcome or {})
        self.slow = slow
        self.bases: list[Json] = [{"id": "1", "slug": "old"}]
        self.known: set[str] = set()
        self.looks: dict[str, int] = {}
        self.refuse: dict[str, Exception] = {}

    def pages(self, path: str, **_: Any) -> list[Json]:
        return self.bases

    def post(self, path: str, body: Json) -> Json:
        base = {"id": "2", "slug": "new", "name": body["name"]}
        self.bases.append(base)
        return base

    def upload(self, path: str, *, file: tuple[str, Any], fields: Mapping[str, str]) -> Json:
        uri = fields["source_uri"]
        if uri in self.refuse:
            raise self.refuse[uri]
        if uri in self.known:
            return {"document": self._document(uri, ended=True), "job": None}
        self.known.add(uri)
        return {"document": self._document(uri, ended=False), "job": {"id": uri}}

    def get(self, path: str, **_: Any) -> Json:
        uri = path.removeprefix("/api/v1/documents/")
        self.looks[uri] = self.looks.get(uri, 0) + 1
        if self.outcome.get(uri) == "deleted":
            raise ApiProblem(404, {"code": "not_found", "detail": "There is no such thing."})
        return self._document(uri, ended=self.looks[uri] > self.slow)

    def _document(self, uri: str, *, ended: bool) -> Json:
        status = self.outcome.get(uri, "ready") if ended else "queued"
        error = {"code": "no_text", "message": "No text."} if status == "failed" else None
        return {"id": uri, "status": status, "error": error, "pending": None}


@pytest.fixture
def files(tmp_path: Path) -> Found:
    for name in ("a.md", "b.md", "c.md"):
        (tmp_path / "d" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "d" / name).write_text(name)
    return find_files([tmp_path / "d"])


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(ingesting.time, "sleep", slept.append)
    return slept


def quiet(_what: str, _done: int, _total: int) -> None:
    pass


def done(api: FakeApi, files: Found) -> Summary:
    summary = Summary()
    wait(api, submit(api, "1", files, summary, quiet), summary, quiet)
    return summary


def test_all_become_ready(files: Found, rounds: list[float]) -> None:
    summary = done(FakeApi(slow=2), files)
    assert (summary.ready, summary.failed) == (3, [])
    assert len(rounds) == 2


def test_a_failure_is_named(files: Found, rounds: list[float]) -> None:
    summary = done(FakeApi({"d/b.md": "failed"}), files)
    assert str(summary) == "2 ready, 1 failed"
    assert [(one.source_uri, one.code) for one in summary.failed] == [("d/b.md", "no_text")]


def test_the_same_files_again_are_unchanged_and_what_failed_still_counts(
    files: Found, rounds: list[float]
) -> None:
    api = FakeApi({"d/b.md": "failed"})
    done(api, files)
    again = done(api, files)
    assert (again.ready, again.unchanged, len(again.failed)) == (0, 2, 1)


def test_a_new_version_that_fails_is_a_failure_though_the_old_one_answers(rounds: list[float]) -> None:
    pending = {"version": 2, "status": "failed", "error": {"code": "no_text", "message": "No text."}}
    summary = Summary()
    count(ingesting.Submitted("a", {"status": "ready", "error": None, "pending": pending}, True), summary)
    assert [one.code for one in summary.failed] == ["no_text"]


def test_a_document_deleted_meanwhile(files: Found, rounds: list[float]) -> None:
    summary = done(FakeApi({"d/a.md": "deleted"}), files)
    assert [(one.source_uri, one.code) for one in summary.failed] == [("d/a.md", "not_found")]


def test_a_refused_file_does_not_stop_the_others(files: Found, rounds: list[float]) -> None:
    api = FakeApi()
    api.refuse["d/a.md"] = ApiProblem(413, {"code": "too_large", "detail": "Too large."})
    summary = done(api, files)
    assert (summary.ready, [one.code for one in summary.failed]) == (2, ["too_large"])


def test_a_server_that_goes_away_stops_everything(files: Found) -> None:
    api = FakeApi()
    api.refuse["d/b.md"] = Unavailable("gone")
    with pytest.raises(Unavailable):
        done(api, files)


def test_a_key_that_is_not_taken_stops_everything(files: Found) -> None:
    api = FakeApi()
    api.refuse["d/b.md"] = ApiProblem(403, {"code": "forbidden"})
    with pytest.raises(ApiProblem):
        done(api, files)


def test_a_file_that_vanished(files: Found, tmp_path: Path, rounds: list[float]) -> None:
    (tmp_path / "d" / "c.md").unlink()
    summary = done(FakeApi(), files)
    assert (summary.ready, [one.code for one in summary.failed]) == (2, ["unreadable"])


def test_what_was_rejected_before_the_upload_counts(rounds: list[float]) -> None:
    found = Found([], 4, [("x.zip", DocumentRejected(Rejection.ARCHIVE_UNSAFE, "No."))])
    summary = done(FakeApi(), found)
    assert str(summary) == "1 failed, 4 hidden left out"


def test_only_a_few_are_asked_about_at_a_time(tmp_path: Path, rounds: list[float]) -> None:
    (tmp_path / "f").write_text("x")
    many = Found([LocalFile(tmp_path / "f", f"f{number}") for number in range(100)])
    api = FakeApi(slow=1)
    assert done(api, many).ready == 100
    assert sum(api.looks.values()) == 200
    assert max(api.looks.values()) == 2


def test_progress_is_told(files: Found, rounds: list[float]) -> None:
    told: list[tuple[str, int, int]] = []
    summary = Summary()
    wait(FakeApi(), submit(FakeApi(), "1", files, summary, quiet), summary, lambda *now: told.append(now))
    assert told == [("Processing", 0, 3), ("Processing", 3, 3)]


def test_without_waiting_they_are_accepted(files: Found) -> None:
    summary = Summary()
    for one in submit(FakeApi(), "1", files, summary, quiet):
        count(one, summary)
    assert str(summary) == "3 accepted"


def test_the_knowledge_base_is_made_from_its_slug() -> None:
    api = FakeApi()
    assert knowledge_base_ensure(api, "old") == "1"
    assert knowledge_base_ensure(api, "travel-policy") == "2"
    assert api.bases[-1]["name"] == "Travel policy"


@pytest.mark.parametrize("slug", ["Travel policy", "a--b", "", "x/y"])
def test_what_is_no_slug(slug: str) -> None:
    with pytest.raises(InvalidInput, match="no slug"):
        knowledge_base_ensure(FakeApi(), slug)
