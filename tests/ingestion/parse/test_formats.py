import os
import subprocess
import sys

import pytest

from ingestion.parse.core import formats
from ingestion.parse.core.formats import FORMATS


@pytest.mark.slow
def test_every_format_has_a_parser() -> None:
    """Asked of a process of its own: parsers bring in libraries that other tests are better without."""
    command = [sys.executable, "-c", "from ingestion.parse.registry import PARSERS; print(*sorted(PARSERS))"]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "UNSTRUCTURED_DISABLE_NOTICE": "1"}
    process = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert process.stdout.split() == sorted(one.media_type for one in FORMATS)


def test_no_ending_belongs_to_two_formats() -> None:
    endings = [ending for one in FORMATS for ending in one.endings]
    assert len(endings) == len(set(endings))


def test_known_formats_have_names_and_others_their_media_type() -> None:
    assert formats.name_of(formats.PDF) == "a PDF"
    assert formats.name_of(formats.SVG) == "an SVG image"
    assert formats.name_of("application/x-odd") == "of the type application/x-odd"
