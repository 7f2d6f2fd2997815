"""Replaces misspelt words of a question."""

import re
from collections.abc import Iterable

from retrieval.types import SpellingCorrection


def correct_text(text: str, corrections: Iterable[SpellingCorrection]) -> str:
    for each in corrections:
        text = re.sub(rf"(?<!\w){re.escape(each.typed)}(?!\w)", each.searched, text)
    return text
