"""Computes the share of a response time that the model server itself took, from its own log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx

ALIKE: Final = 5  # words by which a sentence is found again
_MARKER = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Spoken:
    """One answer. `times`: seconds of the monotonic clock at which each word was generated."""

    began: float
    words: Sequence[str]
    times: Sequence[float]

    def seconds_until(self, sentence: str) -> float | None:
        """Return the seconds from the request to the end of this sentence, or None if the model didn't
        generate it."""
        plain = [(_plain(word), at) for word, at in zip(self.words, self.times, strict=False)]
        spoken_words = [(word, at) for word, at in plain if word]
        shown = [word for word in map(_plain, sentence.split()) if word]
        for start in range(len(spoken_words) - len(shown) + 1):
            if [word for word, _ in spoken_words[start : start + ALIKE]] == shown[:ALIKE]:
                return spoken_words[start + len(shown) - 1][1] - self.began
        return None

    @property
    def seconds(self) -> float:
        return (self.times[-1] if self.times else self.began) - self.began


def spoken_by(model_url: str) -> list[Spoken]:
    """Return the answers in the order of their requests."""
    answer = httpx.get(f"{model_url}/spoken", timeout=60, trust_env=False).raise_for_status()
    return [Spoken(each["began"], each["words"], each["times"]) for each in answer.json()]


def models_own(spoken: Sequence[Spoken], sentence: str, asked: float, shown: float) -> float | None:
    """Return the seconds that the model took for this sentence of a question whose text was shown at
    these times. If passages were quoted instead, return the model's whole time."""
    within = [each for each in spoken if asked <= each.began <= shown]
    own_seconds = [seconds for each in within if (seconds := each.seconds_until(sentence)) is not None]
    whole = [each.seconds for each in within] if sentence.startswith(">") else []
    return max((seconds for seconds in own_seconds or whole if asked + seconds <= shown), default=None)


def _plain(word: str) -> str:
    """Remove markers and surrounding punctuation."""
    return _MARKER.sub("", word).strip(".,;:!?()*_`\"'")
