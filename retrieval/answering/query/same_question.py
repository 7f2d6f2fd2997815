"""Recognises a question that was asked before: the same words, apart from those that change nothing.

Two questions are near in meaning although their answers differ ("for employees", "for contractors"), so no
similarity decides, but the words themselves. Stems don't either: "internal" and "international" share one.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from retrieval.answering.text.number_words import write_digits

MAX_CHARACTERS: Final = 1000
_REMEMBERED: Final = 20_000

QuestionKey = tuple[str, ...]
"""Equal for questions that say the same. Empty for a text without words."""

_TOKEN: Final = re.compile(
    r"\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|(?<!\S)[-−](?=\d)|[^\w\s.,;:!?¿¡…\"'“”„’‘‚`()\[\]{}*_–—-]"  # noqa: RUF001
)
_CONTRACTIONS: Final = (
    (re.compile(r"\bcan['’]?t\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon['’]t\b"), "will not"),
    (re.compile(r"n['’]t\b"), " not"),
    (re.compile(r"['’]ll\b"), " will"),
    (re.compile(r"['’](?:re|m|ve|s)\b"), ""),
)
_POLITE: Final = re.compile(
    r"^(?:(?:hi|hello|hey|hallo|guten (?:tag|morgen))\b[\s,.!]*)?"
    r"(?:(?:please|bitte)\b[\s,]*)?"
    r"(?:(?:(?:can|could|would|will) you (?:please )?)?tell me\b[\s,:]*"
    r"|do you know\b[\s,:]*|i(?: would|['’]d) like to know\b[\s,:]*"
    r"|(?:(?:kannst du|können sie|könnten sie|könntest du) (?:mir )?(?:bitte )?sagen"
    r"|(?:sag|sagen sie) mir(?: bitte)?|wei(?:ß|ss)t du|wissen sie)\b[\s,:]*)?"
)
_THANKS: Final = re.compile(r"[\s,.!?]*\b(?:please|thanks|thank you|bitte|danke)\b[\s.!]*$")
_OPENING: Final = re.compile(
    r"^((?:about|after|as|at|before|during|for|from|in|on|under|with|without"
    r"|ab|am|an|auf|bei|beim|für|im|in|mit|nach|ohne|unter|vor|während) [^,?]{1,60}), (.+?)[\s?.!]*$",
    re.DOTALL,
)
_EN: Final = "a an the am is are be do does my our ours your please"
_DE: Final = """der die das den dem des ein eine einen einem einer eines ist sind bin mein meine meinen meinem
meiner unser unsere unseren unserem unserer bitte"""
_NEUTRAL: Final = frozenset(f"{_EN} {_DE}".split())
"""Words that don't distinguish questions. Questions about the past keep their "was" and "did"."""
_SAME: Final = {
    "we": "i", "me": "i", "us": "i", "you": "i", "could": "can",
    "wir": "ich", "man": "ich", "mich": "ich", "uns": "ich", "mir": "ich",
    "können": "kann", "könnte": "kann", "könnten": "kann", "dürfen": "darf", "müssen": "muss",
}  # fmt: skip
_NO_PLURAL: Final = frozenset({"news", "customs", "means", "goods"})


@lru_cache(maxsize=_REMEMBERED)  # every question is compared with those of all verified answers
def question_key(text: str) -> QuestionKey:
    """Return a normalised question, comparable with others."""
    plain = unicodedata.normalize("NFKC", write_digits(text[:MAX_CHARACTERS])).casefold()
    plain = _THANKS.sub("", _POLITE.sub("", " ".join(plain.split())))
    for pattern, written_out in _CONTRACTIONS:
        plain = pattern.sub(written_out, plain)
    if moved := _OPENING.match(plain):
        plain = f"{moved[2]} {moved[1]}"
    words = (_SAME.get(word, word) for word in _TOKEN.findall(plain) if word not in _NEUTRAL)
    return tuple(_singular(word) for word in words)


def _singular(word: str) -> str:
    if len(word) < 4 or word in _NO_PLURAL or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("sses", "xes", "zes", "ches", "shes")) else word.removesuffix("s")
