"""Damaged files of every format: each is read or refused with a reason, and the parser goes on."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import pytest

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.sandbox.pool import Limits, ParserPool
from tests.ingestion.parse.mutation import mutated

pytestmark = pytest.mark.slow

CHILDREN = 2
LIMITS = Limits(memory_mb=1536, seconds=20)
SLOW = {".doc", ".ppt", ".png", ".jpg", ".jpeg", ".tiff", ".pdf", ".epub"}
"""Formats that take seconds a file, or much memory: one damaged copy of these for nine of others."""
SLOW_SHARE = 10
GOOD = "A plain text that is there to be read. It has two sentences."
READY = "ready"
# the child ends gracefully; `parser_crashed` would be an unhandled case, and our fault
HONEST = {READY} | set(Rejection) - {Rejection.PARSER_CRASHED, Rejection.CANCELLED}

Damage = Callable[[bytes, str], bytes]
"""Called with a file's content and its label."""


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    pool = ParserPool(size=CHILDREN)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def samples(sample_data: Path) -> list[Path]:
    return sorted(path for path in (sample_data / "formats").iterdir() if path.stat().st_size)


@pytest.mark.timeout(600)
def test_truncated_files_end_with_a_reason(pool: ParserPool, samples: list[Path], tmp_path: Path) -> None:
    found = _outcomes(pool, {path.name: path for path in samples}, _half, tmp_path)
    assert set(found.values()) <= HONEST, found
    assert {READY, Rejection.DAMAGED_FILE} <= set(found.values())
    _assert_good_files_are_read(pool, tmp_path)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", [300, pytest.param(1000, marks=pytest.mark.acceptance)])
def test_damaged_files_are_read_or_rejected_with_a_reason(
    pool: ParserPool, samples: list[Path], tmp_path: Path, count: int
) -> None:
    chosen = {f"{path.name}-{number}": path for number, path in enumerate(_chosen(samples, count))}
    found = _outcomes(pool, chosen, mutated, tmp_path)
    assert len(found) == count
    assert not {label: outcome for label, outcome in found.items() if outcome not in HONEST}
    often = Counter(found.values())
    assert min(often[READY], often[Rejection.DAMAGED_FILE]) > count / 10, often
    _assert_good_files_are_read(pool, tmp_path)


def _chosen(samples: Iterable[Path], count: int) -> Iterator[Path]:
    slow = [path for path in samples if path.suffix in SLOW]
    quick = [path for path in samples if path.suffix not in SLOW]
    turns = count // SLOW_SHARE
    yield from islice(cycle(quick), count - turns)
    yield from islice(cycle(slow), turns)


def _half(data: bytes, _: str) -> bytes:
    return data[: len(data) // 2]


def _outcomes(pool: ParserPool, files: Mapping[str, Path], damage: Damage, folder: Path) -> dict[str, str]:
    """Return outcomes by label; each child reads one file at a time."""

    def outcome(label: str) -> str:
        path = files[label]
        return _outcome(pool, folder / label, path.name, damage(path.read_bytes(), label))

    with ThreadPoolExecutor(CHILDREN) as threads:
        return dict(zip(files, threads.map(outcome, files), strict=True))


def _outcome(pool: ParserPool, path: Path, name: str, data: bytes) -> str:
    path.write_bytes(data)
    try:
        parsed = pool.parse(path, name, limits=LIMITS)
        for place in range(len(parsed.parts)):
            assert _part_outcome(pool, path, name, place) in HONEST, path
    except DocumentRejected as rejection:
        return rejection.reason
    finally:
        path.unlink()
    rendition = parsed.rendition
    assert rendition.elements, path
    assert all(element.text.strip() for element in rendition.elements), path
    assert not any("\x00" in element.text for element in rendition.elements), path
    return READY


def _part_outcome(pool: ParserPool, path: Path, name: str, place: int) -> str:
    """Return the outcome of a part of a mail or an archive."""
    try:
        pool.part(path, name, place, limits=LIMITS)
    except DocumentRejected as rejection:
        return rejection.reason
    return READY


def _assert_good_files_are_read(pool: ParserPool, folder: Path) -> None:
    for _ in range(CHILDREN):
        assert _outcome(pool, folder / "good", "good.txt", GOOD.encode()) == READY
