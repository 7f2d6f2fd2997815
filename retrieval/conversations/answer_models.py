"""What the configured models are used for in an answer."""

from dataclasses import replace
from typing import Final

from cairn.settings import Environment
from cairn.settings.env import PACKAGED_RERANKER
from cairn.settings.stored.store import effective_environment
from retrieval.answering.answerability.model_judge import ModelAnswerability
from retrieval.answering.answerability.reader import build_answerability
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.generation.pipeline import EVIDENCE_TOKENS
from retrieval.answering.prompts.prompt import DEFAULT_VERSION, PACKAGED_VERSION
from retrieval.answering.protocols import Answerability, ChatModel
from retrieval.calibration_store import calibration_of
from retrieval.engine import Engine
from retrieval.profile_store import read_profile, stored_profile
from retrieval.types import AnswerProfile

IN_PROCESS_EVIDENCE_TOKENS: Final = 1000  # a CPU reads more of a prompt too slowly


def answer_profile(*, writes: bool, settings: Environment | None = None) -> AnswerProfile:
    """Return the stored profile of the configured model, else the default one. Settings take precedence.
    `writes`: whether it writes by default. `settings`: those of another model, if it is asked instead."""
    settings = settings or effective_environment()
    default = default_profile(writes=writes, settings=settings)
    row = stored_profile(settings.chat_model_name)
    if row is None:
        return default
    stored = read_profile(row)
    return replace(
        stored,
        writes=stored.writes if settings.answer_style == "auto" else default.writes,
        evidence_tokens=settings.answer_evidence_tokens or stored.evidence_tokens,
    )


def default_profile(*, writes: bool, settings: Environment | None = None) -> AnswerProfile:
    settings = settings or effective_environment()
    served = settings.llm_class or settings.llm_base_urls
    tokens = None if served else IN_PROCESS_EVIDENCE_TOKENS
    version = DEFAULT_VERSION
    if settings.has_packaged_chat_model:
        tokens, version = EVIDENCE_TOKENS, PACKAGED_VERSION
    return AnswerProfile(writes, version, settings.answer_evidence_tokens or tokens)


def evidence_budget(chat: ChatModel, max_tokens: int, profile: AnswerProfile) -> EvidenceBudget:
    return EvidenceBudget(chat, max_tokens, profile.evidence_tokens, profile.prompt_version)


def answer_reranker_name() -> str:
    """Return the model whose scores the evidence of answers has; empty if they are a server's."""
    settings = effective_environment()
    if settings.has_packaged_reranker:
        return PACKAGED_RERANKER
    return "" if settings.reranker_base_url else settings.reranker_model or ""


def answerability_of(engine: Engine, judging: EvidenceBudget | None = None) -> Answerability:
    """Build the judge. `judging`: what the language model reads as a second judge; None without one."""
    own = calibration_of(engine.generation)
    first = build_answerability(engine.embedder, engine.reader, own, answer_reranker_name())
    return first if judging is None else ModelAnswerability(first, judging)
