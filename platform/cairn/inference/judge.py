"""The language model that judges answers in evaluations, if one is configured."""

from dataclasses import dataclass

import httpx
from llama_index.core.llms import LLM

from cairn.errors import ConfigurationError
from cairn.http import ssrf_guard
from cairn.settings import Environment

_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class JudgeModel:
    """`failure`: what `llm` raises when its server cannot be reached or refuses. Close `http` in the event
    loop that asked."""

    llm: LLM
    failure: type[Exception]
    http: httpx.AsyncClient


def judge_model(environment: Environment) -> JudgeModel | None:
    """Return the judge, None if not configured. Raises ConfigurationError for half a configuration."""
    if not environment.judge_base_url and not environment.judge_model:
        return None
    if not environment.judge_base_url or not environment.judge_model:
        raise ConfigurationError("A judge takes both JUDGE_BASE_URL and JUDGE_MODEL")
    import openai  # noqa: PLC0415 - with the next, a second of start-up that only judges need
    from llama_index.llms.openai_like import (  # type: ignore[import-untyped]  # noqa: PLC0415 - the same
        OpenAILike,
    )

    key, http = environment.judge_api_key, ssrf_guard.async_client(environment.judge_base_url)
    llm = OpenAILike(
        model=environment.judge_model,
        api_base=environment.judge_base_url.rstrip("/"),
        api_key=key.get_secret_value() if key else "none",
        context_window=environment.llm_context_tokens,
        is_chat_model=True,
        temperature=0.0,
        max_retries=1,
        timeout=_SECONDS,
        async_http_client=http,
    )
    return JudgeModel(llm, openai.OpenAIError, http)
