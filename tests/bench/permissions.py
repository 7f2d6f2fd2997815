"""Measures what permissions cost a search, and how soon a revoked one takes effect.

`python -m tests.bench.permissions` in a DATA_DIR that has been filled. Someone in 200 groups reads half of
2,000 knowledge bases through them. The other side is the same search without the filter in the index, without
the check in SQL, and without finding out who asks.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final
from unittest.mock import patch

import django
import httpx

from tests.bench import server as servers
from tests.bench.figures import Figure, percentile
from tests.bench.filling import fill
from tests.bench.questions import many

CHUNKS, BASES, GROUPS = 100_000, 2_000, 200
READER: Final = "in-many-groups"
PER_GROUP: Final = 5  # knowledge bases that each group may read
NARROWED_EVERY: Final = 10
WARM_UP: Final = 20
BATCH: Final = 10
MOST_ADDED: Final = 1.1
REVOCATIONS: Final = 20
VERIFY_SECONDS: Final = 60


def permission_figures(folder: Path) -> Iterator[Figure]:
    data_dir = folder / "permissions"
    servers.start(data_dir).stop()
    fill(data_dir, CHUNKS, bases=BASES)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.permissions"],
        env={**servers.environment(data_dir), "DJANGO_SETTINGS_MODULE": "cairn.settings.django"},
        cwd=servers.ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    times = json.loads(done.stdout)
    name = f"search, {GROUPS} groups, {BASES:,} knowledge bases, {CHUNKS:,} chunks"
    for side, seconds in times.items():
        yield Figure(f"{name}, {side} permissions, p50", percentile(seconds, 0.5), "ms")
    ratio = percentile(times["with"], 0.5) / percentile(times["without"], 0.5)
    yield Figure(f"{name}: with / without permissions", ratio, "ratio", MOST_ADDED)
    yield from _served_figures(data_dir)


def _served_figures(data_dir: Path) -> Iterator[Figure]:
    server = servers.start(data_dir)
    try:
        with (
            servers.client(server, data_dir) as admin,
            servers.client(server, data_dir, user=READER) as reader,
        ):
            yield from _revocation_figures(admin, reader)
        began = time.monotonic()
        servers.manage(data_dir, "verify_access")
        yield Figure("verify_access there", time.monotonic() - began, "s", VERIFY_SECONDS)
    finally:
        server.stop()


def _revocation_figures(admin: httpx.Client, reader: httpx.Client) -> Iterator[Figure]:
    """Through a grant of the reader's own, which is given and taken again and again."""
    user = reader.get("/api/v1/me").raise_for_status().json()["id"]
    base = next(base for base in _bases(admin) if not _opens(reader, base))
    grants = f"/api/v1/knowledge-bases/{base}/grants"
    others = admin.get(grants).raise_for_status().json()
    late, took = 0, list[float]()
    for _ in range(REVOCATIONS):
        given = [*others, {"subject": f"user:{user}", "role": "reader"}]
        admin.put(grants, json=given).raise_for_status()
        assert _finds(reader, base)
        began = time.perf_counter()
        admin.put(grants, json=others).raise_for_status()
        late += _finds(reader, base)
        took.append((time.perf_counter() - began) * 1000)
    yield Figure("revocations that the next question did not see", late, f"of {REVOCATIONS}", 0)
    yield Figure("from taking a grant to the answer of the next question, p50", percentile(took, 0.5), "ms")


def _bases(admin: httpx.Client) -> Iterator[str]:
    asked: dict[str, str | int] = {"limit": 200}
    while True:
        page = admin.get("/api/v1/knowledge-bases", params=asked).raise_for_status().json()
        yield from (base["id"] for base in reversed(page["items"]))
        if page["next_cursor"] is None:
            return
        asked["cursor"] = page["next_cursor"]


def _opens(reader: httpx.Client, base: str) -> bool:
    return reader.get(f"/api/v1/knowledge-bases/{base}").status_code == 200


def _finds(reader: httpx.Client, base: str) -> bool:
    body = {"query": "How do I request leave?", "knowledge_bases": [base]}
    return bool(reader.post("/api/v1/search", json=body).raise_for_status().json()["results"])


@dataclass(frozen=True, slots=True)
class Sides:
    allowed: Callable[[str], object]
    free: Callable[[str], object]


def _granted() -> None:
    from cairn.access.models import DocumentReader, Grant, Role
    from cairn.accounts.models import Group, User
    from cairn.library.models import Document, KnowledgeBase

    user = User.objects.create_user(READER)
    groups = Group.objects.bulk_create(Group(name=f"Group {number}") for number in range(GROUPS))
    user.member_of.set(groups)
    bases = list(KnowledgeBase.objects.filter(name__startswith="Filler").values_list("id", flat=True))
    turns = [group for group in groups for _ in range(PER_GROUP)]
    Grant.objects.bulk_create(
        Grant(knowledge_base_id=base, group=group, role=Role.READER)
        for base, group in zip(bases, turns, strict=False)
    )
    for document in islice(Document.objects.all(), 0, None, NARROWED_EVERY):
        DocumentReader.objects.create(document=document, group=groups[0])
        Document.objects.filter(pk=document.pk).update(narrowed=True)


def _sides() -> Sides:
    from cairn.access.principals import principal_for_user
    from cairn.access.selectors import scope_for
    from cairn.accounts.models import User
    from cairn.library.models import Chunk, ChunkQuerySet
    from retrieval.engine import get_engine
    from retrieval.index import filters
    from retrieval.search import hybrid_search as searching

    parts, user = get_engine(), User.objects.get(username=READER)
    scope = scope_for(principal_for_user(user))

    def every(_scope: object, ids: Sequence[object]) -> ChunkQuerySet:
        wanted = Chunk.objects.active().filter(id__in=ids)
        return wanted.select_related("version__document__knowledge_base")

    def allowed(question: str) -> object:
        asker = principal_for_user(User.objects.get(pk=user.pk))
        return searching.search(question, scope=scope_for(asker), engine=parts)

    def free(question: str) -> object:
        nothing = filters.Conditions(every=(), some=())
        with (
            patch.object(filters, "readable", lambda _: nothing),
            patch.object(searching, "chunks_for", every),
        ):
            return searching.search(question, scope=scope, engine=parts)

    return Sides(allowed, free)


def _timed(sides: Sides, questions: Sequence[str]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"with": [], "without": []}
    for start in range(0, len(questions), BATCH):
        for name, ask in (("with", sides.allowed), ("without", sides.free)):
            for question in questions[start : start + BATCH]:
                began = time.perf_counter()
                ask(question)
                times[name].append((time.perf_counter() - began) * 1000)
    return {name: each[WARM_UP:] for name, each in times.items()}


def main() -> None:
    django.setup()
    from retrieval.index.generations import close_index

    _granted()
    times = _timed(_sides(), many())
    close_index()
    sys.stdout.write(json.dumps(times))


if __name__ == "__main__":
    main()
