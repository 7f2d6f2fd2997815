"""Files of a Git repository, from the server that comes with Git."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.git.options import GitOptions
from ingestion.sources.protocol import (
    Change,
    Complete,
    Item,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    first_problem,
)
from tests.ingestion.sources.git_server import TOKEN, GitServer, git, git_server, needs_git

pytestmark = needs_git
LEAVE = "# Leave\n\nEveryone has 25 days.\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path) as server:
        server.commit(
            {"docs/leave.md": LEAVE, "docs/travel/hotels.md": "# Hotels\n", "README.md": "# Team\n"}
        )
        yield server


def connected(server: GitServer, **options: Any) -> Any:
    return get_kind("git").connect(GitOptions(url=server.url, **options))


def changes(server: GitServer, cursor: str = "", **options: Any) -> list[Change]:
    with connected(server, **options) as source:
        return list(source.list_changes(cursor))


def items(server: GitServer, **options: Any) -> dict[str, Item]:
    return {change.uri: change for change in changes(server, **options) if isinstance(change, Item)}


def cursor_of(found: list[Change]) -> str:
    complete = found[-1]
    assert isinstance(complete, Complete)
    return complete.cursor


def read(server: GitServer, item: Item, **options: Any) -> bytes:
    with connected(server, **options) as source, source.open(item) as content:
        read: bytes = content.read()
        return read


def test_every_file_of_the_branch_is_listed_and_read(server: GitServer) -> None:
    found = items(server)
    assert set(found) == {"docs/leave.md", "docs/travel/hotels.md", "README.md"}
    hotels = found["docs/travel/hotels.md"]
    assert (hotels.name, hotels.container) == ("hotels.md", "docs/travel")
    assert read(server, found["docs/leave.md"]) == LEAVE.encode()
    with connected(server) as source:
        assert first_problem(source.check()) == ""


def test_unchanged_branch_is_not_fetched_again(server: GitServer) -> None:
    cursor = cursor_of(changes(server))
    server.requests.clear()
    assert changes(server, cursor) == [Complete(cursor, full=False)]
    assert not any(path.endswith("POST") for path in server.requests)
    assert len(server.requests) <= 2, "the references, and no objects"
    server.commit({"docs/leave.md": "# Leave\n\nEveryone has 26 days.\n", "README.md": None})
    later = changes(server, cursor)
    assert later[-1] == Complete(cursor_of(later), full=True)
    assert {change.uri for change in later if isinstance(change, Item)} == {
        "docs/leave.md",
        "docs/travel/hotels.md",
    }


def test_only_changed_files_have_a_new_version(server: GitServer) -> None:
    before = items(server)
    server.commit({"docs/leave.md": "changed"})
    after = items(server)
    changed = [uri for uri in before if before[uri].version != after[uri].version]
    assert changed == ["docs/leave.md"]


def test_deleted_version_cannot_be_read(server: GitServer) -> None:
    item = items(server)["docs/leave.md"]
    server.commit({"docs/leave.md": "changed"})
    with pytest.raises(ItemUnavailable, match="no longer there"):
        read(server, item)


def test_folder_and_page_url_select_and_link_files(server: GitServer) -> None:
    found = items(server, folder="/docs/", page_url="https://git.example.org/src/{path}?plain=1")
    assert set(found) == {
        "https://git.example.org/src/docs/leave.md?plain=1",
        "https://git.example.org/src/docs/travel/hotels.md?plain=1",
    }
    server.commit({"docsearch/other.md": "not in docs"})
    assert len(items(server, folder="docs")) == 2


def test_other_branch_is_listed_and_a_missing_one_refused(server: GitServer) -> None:
    work = server.folder / "work"
    git("checkout", "--quiet", "-b", "draft", cwd=work)
    server.commit({"draft.md": "Soon."})
    assert "draft.md" in items(server, branch="draft")
    assert "draft.md" not in items(server, branch="main")
    with pytest.raises(SourceRefused, match="no branch “old”"):
        changes(server, branch="old")


def test_symbolic_links_are_skipped_and_unusual_names_read(server: GitServer) -> None:
    (server.folder / "work" / "passwords").symlink_to("/etc/passwd")
    server.commit({"docs/Übersicht für 新人 ☂.md": "# All", "docs/a b%20c#d?.md": "# Signs"})
    found = items(server)
    assert "passwords" not in found
    assert read(server, found["docs/Übersicht für 新人 ☂.md"]) == b"# All"
    assert read(server, found["docs/a b%20c#d?.md"]) == b"# Signs"


def test_empty_repository_lists_nothing(server: GitServer) -> None:
    server.commit({"docs/leave.md": None, "docs/travel/hotels.md": None, "README.md": None})
    assert items(server) == {}


def test_git_token_is_sent(server: GitServer) -> None:
    server.requires_token = True
    with pytest.raises(SourceRefused, match="refuses this user name or password"):
        changes(server)
    assert len(items(server, password=SecretStr(TOKEN))) == 3


def test_missing_repository_is_rejected(server: GitServer) -> None:
    options = GitOptions(url=server.url.replace("handbook.git", "missing.git"))
    with get_kind("git").connect(options) as source, pytest.raises(SourceRefused, match="no Git repository"):
        list(source.list_changes(""))


def test_redirect_to_another_host_is_rejected(server: GitServer) -> None:
    server.redirects_to = "http://169.254.169.254/latest/"
    with pytest.raises(SourceRefused, match="redirects to"):
        changes(server)


@pytest.mark.parametrize("after", [0, 10, 200])
def test_interrupted_listing_is_not_complete(server: GitServer, after: int) -> None:
    server.breaks_off = after
    with connected(server) as source:
        found = []
        with pytest.raises((SourceUnavailable, SourceRefused)):
            found.extend(source.list_changes(""))
    assert not any(isinstance(change, Complete) for change in found)


def test_unreachable_git_server_is_temporary(server: GitServer) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(SourceUnavailable, match="Can’t connect"):
        changes(server)


@pytest.mark.parametrize("url", ["git@git.example.org:team/handbook.git", "ssh://git.example.org/a"])
def test_only_http_addresses_are_accepted(url: str) -> None:
    with pytest.raises(ValidationError):
        GitOptions(url=url)
