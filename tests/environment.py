"""Loaded with `-p` before Django: tests see neither the developer's environment, nor .env, nor var/."""

import atexit
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from cairn.settings.env import NO_RERANKER, RENAMED, Environment
from tests.scratch import scratch_folder, write_to_memory
from tests.shared_models import share_models

_PASSED_ON = "TESTS_GIVEN"
"""To the processes that the tests are spread over: what is given has been taken out of their environment."""
GIVEN: dict[str, str | None] = json.loads(os.environ.get(_PASSED_ON, "null")) or {
    name: os.environ.get(name) for name in ("QDRANT_URL", "QDRANT_API_KEY", "DATABASE_URL", "SAMPLE_DATA")
}
"""For tests that run against a real server where one is named. DATABASE_URL: all that use a database do."""

if "--quick" in sys.argv:
    write_to_memory()
DATA_DIR = tempfile.mkdtemp(prefix="cairn-tests-", dir=scratch_folder())
share_models(Path(DATA_DIR))
Path(DATA_DIR, "static").mkdir()  # ServeStatic warns of a folder that is not there
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)


def clean_environment(data_dir: str) -> dict[str, str]:
    """Return the environment of this process without any setting of Cairn except DATA_DIR."""
    names = {name.upper() for name in (*Environment.model_fields, *RENAMED)}
    files = {f"{name}_FILE" for name in names}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in names | files}
    unset = dict.fromkeys(names, "")  # overrides .env, and counts as not set
    unset["RERANKER_MODEL"] = NO_RERANKER  # a test that wants the packaged one names it
    offline = {"HF_HUB_OFFLINE": "1"}
    return kept | unset | offline | {"DATA_DIR": data_dir, "DJANGO_SETTINGS_MODULE": "cairn.settings.django"}


_cleaned = clean_environment(DATA_DIR)
_database = {"DATABASE_URL": url} if (url := GIVEN["DATABASE_URL"]) else {}
os.environ.clear()
os.environ.update(_cleaned | _database | {_PASSED_ON: json.dumps(GIVEN)})
