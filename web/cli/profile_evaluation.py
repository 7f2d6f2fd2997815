"""Finds the use of the language model that answers most gold questions."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from retrieval.answering.prompts.prompt import DEFAULT_VERSION, QUOTE_FIRST_VERSION
from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.evaluation.metrics import measures
from retrieval.types import AnswerProfile
from web.cli.api_client import Api, Json
from web.cli.evaluation_client import outcomes_of
from web.cli.folder_upload import Tick

EVIDENCE_SIZES: Final = (500, 1000, 2000, None)


@dataclass(frozen=True, slots=True)
class Measured:
    """`right`: questions that were answered, or refused, as expected."""

    profile: AnswerProfile
    right: int
    wrongly_refused: float | None
    first_token_ms: float | None

    @property
    def rank(self) -> tuple[int, float]:
        """More right answers first; of equally many, the faster."""
        return -self.right, self.first_token_ms or 0.0


class ProfileSearch:
    """Compares profiles step by step: the prompt, then the size of the evidence, then the judge. Trying all
    combinations would take ten times as long."""

    def __init__(self, api: Api, base: str, questions: Sequence[GoldQuestion], tick: Tick) -> None:
        self._api = api
        self._base = base
        self._questions = questions
        self._tick = tick
        self.measured: dict[AnswerProfile, Measured] = {}

    def run(self) -> Iterator[Measured]:
        """Yield each profile as it is measured. The current profile comes first."""
        current = _read_profile(self._api.get("/api/v1/answer-profile")["profile"])
        yield from self._measure_all([current, *_prompts(current)])
        yield from self._measure_all(_evidence_sizes(self.best.profile))
        if self.best.profile.writes:
            yield from self._measure_all([replace(self.best.profile, judges=True)])

    @property
    def best(self) -> Measured:
        """The current profile unless another one is better."""
        return min(self.measured.values(), key=lambda each: each.rank)

    def store(self) -> Json:
        """Use the best profile from now on."""
        rows = [asdict(each) for each in self.measured.values()]
        body = {"profile": asdict(self.best.profile), "measured": rows, "questions": len(self._questions)}
        return self._api.put("/api/v1/answer-profile", body)

    def _measure_all(self, profiles: Sequence[AnswerProfile]) -> Iterator[Measured]:
        for profile in profiles:
            if profile not in self.measured:
                self.measured[profile] = self._measure(profile)
                yield self.measured[profile]

    def _measure(self, profile: AnswerProfile) -> Measured:
        asked = list(outcomes_of(self._api, self._base, self._questions, self._tick, profile=profile))
        found = measures(asked)
        return Measured(
            profile, sum(each.right for each in asked), found["wrongly_refused"], found["first_token_p50_ms"]
        )


def _read_profile(profile: Json) -> AnswerProfile:
    return AnswerProfile(**profile)


def _prompts(current: AnswerProfile) -> list[AnswerProfile]:
    quoted = replace(current, writes=False, judges=False)
    written = [
        replace(current, writes=True, judges=False, prompt_version=version)
        for version in (DEFAULT_VERSION, QUOTE_FIRST_VERSION)
    ]
    return [quoted, *written]


def _evidence_sizes(best: AnswerProfile) -> list[AnswerProfile]:
    """Quotes don't depend on how much the model reads."""
    return [replace(best, evidence_tokens=size) for size in EVIDENCE_SIZES] if best.writes else []
