"""Fast test for texts of several sentences, as unstructured defines them.

Without a part-of-speech tagger, as in blank English, unstructured's rule for NarrativeText is two sentences
of three words or more. Most texts are decided by their form; spaCy handles the others.
"""

import re
from typing import Final

from spacy.pipeline import Sentencizer
from unstructured.partition.text_type import sentence_count, under_non_alpha_ratio

_FEWEST_WORDS: Final = 3
_ENDS: Final = frozenset(Sentencizer.default_punct_chars)
_QUOTES: Final = r"\"'\u2018\u2019\u201c\u201d"
_WORD: Final = rf"[{_QUOTES}(]?[A-Za-z0-9][\w{_QUOTES},;:()/\u2013-]*"
# spaCy knows no abbreviation of three lower-case letters
_TWO_SENTENCES: Final = re.compile(
    rf"(?<!\S){_WORD} {_WORD} (?:[a-z]+-)*[a-z]{{3,}}\)?[.?!] {_WORD} {_WORD} {_WORD}", re.ASCII
)


def is_narrative(text: str) -> bool:
    return _has_two_sentences(text) and not under_non_alpha_ratio(text)


def _has_two_sentences(text: str) -> bool:
    # where a sentence has to end for there to be words enough on either side
    middle = text.split()[_FEWEST_WORDS - 1 : 1 - _FEWEST_WORDS]
    if _ENDS.isdisjoint("".join(middle)):
        return False
    return _TWO_SENTENCES.search(text) is not None or sentence_count(text, _FEWEST_WORDS) > 1
