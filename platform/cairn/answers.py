"""Vocabulary of answers: verdicts, modes and grounding. The values are stored and sent as they are."""

from enum import StrEnum

from django.db.models import TextChoices


class Verdict(StrEnum):
    """How far an answer is supported; `retrieval.answering.generation.verdict` decides."""

    SUPPORTED = "supported"
    PARTIAL = "partial"
    REFUSED = "refused"


class AnswerMode(StrEnum):
    """Origin of an answer's text: the model, quoted passages, or none if it was refused."""

    GENERATED = "generated"
    EXTRACTIVE = "extractive"
    NONE = "none"


class Grounding(TextChoices):
    """strict: sentences without support are dropped; flag: they are shown and marked."""

    STRICT = "strict"
    FLAG = "flag"
