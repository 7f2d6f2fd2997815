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
    """One answer. `times`: seconds of the monotonic clock at which each word was written."""

    began: float
    words: Sequence[str]
    times: Sequence[float]

    def seconds_until(self, sentence: str) -> float | None:
        """From its being asked to the end of what was shown as this sentence; None if it has not said it."""
        plain = [(_plain(word), at) for word, at in zip(self.words, self.times, strict=False)]
        said = [(word, at) for word, at in plain if word]
        shown = [word for word in map(_plain, sentence.split()) if word]
        for start in range(len(said) - len(shown) + 1):
            if [word for word, _ in said[start : start + ALIKE]] == shown[:ALIKE]:
                return said[start + len(shown) - 1][1] - self.began
        return None

    @property
    def seconds(self) -> float:
        return (self.times[-1] if self.times else self.began) - self.began


def spoken_by(model_url: str) -> list[Spoken]:
    """In the order in which they were asked for."""
    answer = httpx.get(f"{model_url}/spoken", timeout=60, trust_env=False).raise_for_status()
    return [Spoken(each["began"], each["words"], each["times"]) for each in answer.json()]


def models_own(spoken: Sequence[Spoken], sentence: str, asked: float, shown: float) -> float | None:
    """Seconds that the model took for this sentence, of who asked and saw it at these times. If passages were
    quoted in place of what it said, all that it took."""
    within = [each for each in spoken if asked <= each.began <= shown]
    said = [seconds for each in within if (seconds := each.seconds_until(sentence)) is not None]
    whole = [each.seconds for each in within] if sentence.startswith(">") else []
    return max((seconds for seconds in said or whole if asked + seconds <= shown), default=None)


def _plain(word: str) -> str:
    """Without markers, and the signs around it."""
    return _MARKER.sub("", word).strip(".,;:!?()*_`\"'")
