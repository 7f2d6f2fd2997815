"""Each kind of source that tells who may read a document has a canary on a server of its kind."""

from pathlib import Path

from ingestion.sources.kinds import list_kinds


def test_each_kind_with_permissions_has_a_canary() -> None:
    tests = {path.stem.removeprefix("test_"): path for path in Path(__file__).parent.rglob("test_*.py")}
    kinds = [kind.name for kind in list_kinds() if kind.has_access]
    assert len(kinds) >= 9
    missing = [
        name for name in kinds if name not in tests or "require_canary(" not in tests[name].read_text()
    ]
    assert missing == []
