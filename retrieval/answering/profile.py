"""How answers use a language model: what its best use is depends on the model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerProfile:
    """`writes`: whether the model is asked to write; if not, passages are quoted. `evidence_tokens`: how much
    of the passages it reads; None for as much as its context allows. `judges`: whether it also decides if the
    passages contain the answer.
    """

    writes: bool
    prompt_version: str
    evidence_tokens: int | None = None
    judges: bool = False
