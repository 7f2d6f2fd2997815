"""Fills an install with many chunks: `python -m tests.bench.filling SIZE BASES` in a DATA_DIR that has run.

Texts are runs of the handbook's words from here and there, so that none is nearly another's copy; vectors
are random, since only their number matters.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final
from uuid import uuid4

import django
import numpy as np

from tests.bench import server as servers

PER_DOCUMENT: Final = 50
WORDS: Final = 120
RUN: Final = 15  # words that stay together


def fill(data_dir: Path, size: int, *, bases: int = 1) -> None:
    """The documents take turns between the knowledge bases."""
    subprocess.run(
        [sys.executable, "-m", "tests.bench.filling", str(size), str(bases)],
        env={**servers.environment(data_dir), "DJANGO_SETTINGS_MODULE": "cairn.settings.django"},
        cwd=servers.ROOT,
        check=True,
    )


def texts() -> Iterator[str]:
    folder = Path(os.environ.get("SAMPLE_DATA", servers.ROOT.parent / "shared" / "data")) / "handbook"
    words = " ".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.md"))).split()
    random = Random(1)
    while True:
        starts = [random.randrange(len(words) - RUN) for _ in range(WORDS // RUN)]
        yield " ".join(word for start in starts for word in words[start : start + RUN])


def main() -> None:
    django.setup()
    from cairn.access.principals import principal_for_user
    from cairn.access.services import knowledge_base_create, reader_tokens
    from cairn.accounts.models import User
    from cairn.library.models import Chunk, Document, DocumentVersion, VersionState
    from retrieval.index.generations import active_index, close_index
    from retrieval.index.protocol import Point
    from retrieval.search.bm25 import document_sparse

    admin = principal_for_user(User.objects.get(username="admin"))
    bases = [
        knowledge_base_create(name=f"Filler {number}", principal=admin) for number in range(int(sys.argv[2]))
    ]
    index, random, source = active_index(), np.random.default_rng(1), texts()
    for number in range(int(sys.argv[1]) // PER_DOCUMENT):
        base = bases[number % len(bases)]
        document = Document.objects.create(
            knowledge_base=base, source_key=f"filler/{number}", title=f"Filler {number}"
        )
        version = DocumentVersion.objects.create(
            document=document, number=1, filename="f.md", size=1, state=VersionState.READY,
            chunk_count=PER_DOCUMENT,
        )  # fmt: skip
        chunks = [
            Chunk(id=uuid4(), version=version, ordinal=at, text=text, context=document.title, section=[],
                  elements=[0], tokens=150, sha256=sha256(text.encode()).hexdigest())
            for at, text in enumerate(islice(source, PER_DOCUMENT))
        ]  # fmt: skip
        Chunk.objects.bulk_create(chunks)
        vectors = random.standard_normal((PER_DOCUMENT, 384)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        index.upsert(
            [
                Point(
                    id=chunk.id, dense=vector, sparse=document_sparse(chunk.text), knowledge_base=base.id,
                    document=document.id, version=version.id, readers=reader_tokens(document),
                    source_uri=document.source_uri, tags=(), created_at=document.created_at.timestamp(),
                )
                for chunk, vector in zip(chunks, vectors, strict=True)
            ]
        )  # fmt: skip
        document.active_version = document.latest_version = version
        document.save()
    close_index()


if __name__ == "__main__":
    main()
