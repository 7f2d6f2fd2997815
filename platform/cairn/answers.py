"""Vocabulary of answers: verdicts, modes and grounding. The values are stored and sent as they are."""

from enum import StrEnum

from django.db.models import TextChoices


class Verdict(StrEnum):
    """How far an answer is supported; `retrieval.answering.generation.verdict` decides."""

    SUPPORTED = "supported"
    PARTIAL = "partial"
    REFUSED = "refused"


class AnswerMode(StrEnum):
    """Origin of an answer's text: the model, quoted passages, a verified answer, or none if it was refused.
    A reply to small talk is no answer, and has no verdict. A question that the usage policy declines has the
    organisation's text as its answer, and the verdict of a refusal.

    If the parts of an answer differ, the first of these counts.
    """

    GENERATED = "generated"
    EXTRACTIVE = "extractive"
    VERIFIED = "verified"
    NONE = "none"
    SMALL_TALK = "small_talk"
    DECLINED = "declined"


class Grounding(TextChoices):
    """strict: sentences without support are dropped; flag: they are shown and marked."""

    STRICT = "strict"
    FLAG = "flag"


class Intent(StrEnum):
    """Purpose of a message. `ask` is any question that no rule recognises as something else."""

    ASK = "ask"
    LIST = "list"
    FIND = "find"
    SUMMARISE = "summarise"
    COMPARE = "compare"
