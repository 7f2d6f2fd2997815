"""CSV and its relatives: each block of rows becomes a table under the same header."""

import csv
from collections.abc import Iterator
from itertools import batched, chain
from pathlib import Path
from typing import Final

from cairn.library.rendition import Rendition
from ingestion.parse.build import TABLE, RenditionBuilder
from ingestion.parse.limits import Limits
from ingestion.parse.text import decode

_DELIMITERS: Final = ",;\t|"
_SAMPLE_LINES: Final = 20
_ROWS_PER_TABLE: Final = 50
_LONGEST_FIELD: Final = 1_000_000
