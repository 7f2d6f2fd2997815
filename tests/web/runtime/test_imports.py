"""Starts don't wait for imports that they don't need."""

import subprocess
import sys

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
SCIM = """
import sys, django
sys.path.append("platform")
django.setup()
import web.urls
from django.urls import reverse
print(reverse("scim:users"), "scim2_models" in sys.modules)
"""
SAID = """
import sys, django
sys.path.append("platform")
django.setup()
for name in {commands}:
    __import__("web.management.commands." + name)
print([name for name in {heavy} if name in sys.modules])
"""


def test_commands_that_talk_to_a_server_import_none_of_its_libraries() -> None:
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
    assert run_program(SAID.format(commands=commands, heavy=HEAVY)) == "[]"


def test_the_models_of_scim_wait_for_its_first_request() -> None:
    assert run_program(SCIM) == "/scim/v2/Users False"


def run_program(program: str) -> str:
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "cairn.settings.django", "PATH": ""},
    )
    return said.stdout.strip()
