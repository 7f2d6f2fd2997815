"""Runs in a parser process with all the parsers and reports which modules they imported."""

import os
import sys
from multiprocessing.connection import Connection
from typing import Any

from unstructured.nlp import tokenize

from ingestion.parse.core.limits import Limits
from ingestion.parse.registry import PARSERS
from ingestion.parse.sandbox.loop import serve

_HEAVY = ("django", "torch", "transformers", "openvino", "celery", "pytest")
_SECRETS = ("SECRET_KEY", "DATA_DIR", "DJANGO_SETTINGS_MODULE")


def _handle(limits: Limits, path: str) -> tuple[dict[str, Any], bytes]:
    return {
        "parsers": len(PARSERS),
        "heavy_modules": [name for name in _HEAVY if sys.modules.get(name) is not None],
        "environment": [name for name in _SECRETS if name in os.environ],
        "sentence_finder": tokenize._get_nlp().pipe_names,
    }, b""


def main(connection: Connection) -> None:
    serve(connection, _handle)
