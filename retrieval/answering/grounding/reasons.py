"""What a sentence gives a reason for: "The shop is closed" in "The shop is closed because it is renovated".

A question may assume it ("Why is the shop closed?"), and a model repeats that with whatever it reads.
"""

import re
from typing import Final

_REASON: Final = re.compile(
    r"\b(?:because|due to|owing to|on account of|weil|aufgrund|wegen)\b|,\s+(?:since|as|for|da|denn)\b",
    re.IGNORECASE,
)
"""Words before a reason. After a comma, some that otherwise mean something else."""
_CONSEQUENCE: Final = re.compile(
    r"[,;]\s+(?:(?:and|und)\s+)?"
    r"(?:so|therefore|hence|thus|which is why|that is why|deshalb|daher|darum|deswegen|weshalb|sodass)\b",
    re.IGNORECASE,
)
_CLAUSE_END: Final = re.compile(r",\s+(?=\w)")


def find_explained_part(sentence: str) -> str:
    """Return the part that a sentence gives a reason for, "" if it gives none, or only the reason."""
    if match := _REASON.search(sentence):
        if before := sentence[: match.start()].strip(" ,;:–—-"):
            return before
        end = _CLAUSE_END.search(sentence, match.end())
        return sentence[end.end() :] if end else ""
    match = _CONSEQUENCE.search(sentence)
    return sentence[match.end() :] if match else ""
