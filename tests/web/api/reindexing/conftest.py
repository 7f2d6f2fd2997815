from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cairn.library.models import KnowledgeBase
from retrieval.models import IndexGeneration
from tests.web.api.conftest import Caller
from tests.web.api.reindexing.install import Generations, generations


@pytest.fixture
def install(
    admin: Caller, base: KnowledgeBase, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Generations]:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "files")},
        },
    }
    IndexGeneration.objects.all().delete()  # one that an earlier test's server left in the database
    with generations(admin, base, tmp_path, monkeypatch) as made:
        yield made
