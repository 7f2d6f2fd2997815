"""A command that only talks to a running server does not wait for the imports of one."""

import subprocess
import sys

import pytest

from tests.servers import ROOT

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "llama_index",
    "qdrant_client",
    "nltk",
    "sklearn",
)
SAID = """
import sys, django
sys.path.append("platform")
django.setup()
for name in {commands}:
    __import__("web.management.commands." + name)
print([name for name in {heavy} if name in sys.modules])
"""


@pytest.mark.slow
def test_client_commands_import_no_server_libraries() -> None:
    commands = (
        "ask",
        "create_api_key",
        "evaluate",
        "ingest",
        "reindex",
        "search",
        "verify_access",
        "web",
        "beat",
        "worker",
    )
    process = subprocess.run(
        [sys.executable, "-c", SAID.format(commands=commands, heavy=HEAVY)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "cairn.settings.django", "PATH": ""},
    )
    assert process.stdout.strip() == "[]"
