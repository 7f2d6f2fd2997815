"""Runs in a parser process and reports which texts Cairn and unstructured consider narrative."""

import json
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from unstructured.partition.text_type import is_possible_narrative_text

from ingestion.parse.core import unstructured_elements
from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox.loop import serve
from ingestion.parse.text import narrative_text


def _handle(limits: Limits, path: str) -> tuple[dict[str, Any], bytes]:
    abbreviations = list(unstructured_elements.blank_english().tokenizer.rules)  # type: ignore[union-attr]
    texts = json.loads(Path(path).read_text())
    texts += [f"we met them at {word} Then we went home" for word in abbreviations]
    return {
        "ours": list(map(narrative_text.is_narrative, texts)),
        "theirs": list(map(is_possible_narrative_text, texts)),
    }, b""


def main(connection: Connection) -> None:
    serve(connection, _handle)
