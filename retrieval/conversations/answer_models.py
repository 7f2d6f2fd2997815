"""What the configured models are used for in an answer."""

from typing import Final

from cairn.settings import environment
from cairn.settings.env import PACKAGED_RERANKER
from retrieval.answering.answerability.reader import build_answerability
from retrieval.answering.generation.evidence_budget import EvidenceBudget
from retrieval.answering.generation.pipeline import EVIDENCE_TOKENS
from retrieval.answering.prompts.prompt import PACKAGED_VERSION, VERSION
from retrieval.answering.protocols import Answerability, ChatModel
from retrieval.calibration_store import calibration_of
from retrieval.engine import Engine

IN_PROCESS_EVIDENCE_TOKENS: Final = 1000  # a CPU reads more of a prompt too slowly


def prompt_version() -> str:
    return PACKAGED_VERSION if environment().has_packaged_chat_model else VERSION


def evidence_budget(chat: ChatModel, max_tokens: int) -> EvidenceBudget:
    settings = environment()
    served = settings.llm_class or settings.llm_base_urls
    default = None if served else IN_PROCESS_EVIDENCE_TOKENS
    if settings.has_packaged_chat_model:
        default = EVIDENCE_TOKENS
    tokens = settings.answer_evidence_tokens or default
    return EvidenceBudget(chat, max_tokens, tokens, prompt_version())


def answer_reranker_name() -> str:
    """Return the model whose scores the evidence of answers has; empty if they are a server's."""
    settings = environment()
    if settings.has_packaged_reranker:
        return PACKAGED_RERANKER
    return "" if settings.reranker_base_url else settings.reranker_model or ""


def answerability_of(engine: Engine) -> Answerability:
    own = calibration_of(engine.generation)
    return build_answerability(engine.embedder, engine.reader, own, answer_reranker_name())
