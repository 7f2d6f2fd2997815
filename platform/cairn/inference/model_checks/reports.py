"""Reports on whether each configured model works and its settings fit."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from llama_index.core.llms import ChatMessage

from cairn.errors import CairnError, ConfigurationError, Unavailable
from cairn.inference import registry
from cairn.inference.chat.endpoint import strip_credentials
from cairn.inference.chat.prompt_messages import ClearedMessages
from cairn.inference.model_checks.probe import Message, ProbeResult, Server
from cairn.inference.reranking import reranker_name, reranks
from cairn.settings import Environment

HERE = "in process"
_SECONDS = 60.0
_PING: list[Message] = [{"role": "user", "content": "Say hello."}]
_RULES = "Answer in one word. " * 12
_SYSTEM: list[Message] = [{"role": "system", "content": _RULES}, *_PING]
_NO_TURNS = "Its chat template does not take turns of a conversation"
_TURNS: list[Message] = [*_PING, {"role": "assistant", "content": "Hello."}, *_PING]


@dataclass(slots=True)
class Report:
    """`problem` is empty for a model that works; `remarks` are worth checking even then.

    None: the server doesn't report it.
    """

    kind: str
    model: str
    where: str
    problem: str = ""
    remarks: list[str] = field(default_factory=list)
    milliseconds: int | None = None
    served: tuple[str, ...] = ()
    context_tokens: int | None = None
    system_role: bool | None = None
    alternates: bool | None = None
    dimension: int | None = None

    @property
    def ok(self) -> bool:
        return not self.problem


def reports(environment: Environment) -> Iterator[Report]:
    """Yield the reports one by one, since each may take a while."""
    yield from chat_reports(environment)
    yield _embedder(environment)
    if reranks(environment):
        yield _reranker(environment)
    if environment.judge_base_url:
        key, model = environment.judge_api_key, environment.judge_model or ""
        report = Report("judge", model, strip_credentials(environment.judge_base_url))
        yield _fill_report(report, Server(environment.judge_base_url, key, seconds=_SECONDS), _chats)


def chat_reports(environment: Environment, *, seconds: float = _SECONDS) -> Iterator[Report]:
    """Yield a report for each server. `seconds`: how long to wait for each response."""
    stored = environment.is_stored("llm_base_url")
    for url in environment.llm_base_urls if not environment.llm_class else ():
        report = Report("chat", environment.llm_model or "", strip_credentials(url))
        server = Server(url, environment.llm_api_key, seconds=seconds, from_console=stored)
        filled = _fill_report(report, server, _chats)
        yield _compare_with_settings(filled, environment) if filled.ok else filled
    if environment.llm_class or not environment.llm_base_urls:
        name = environment.llm_class or environment.local_chat_model or ""
        yield _try_model(Report("chat", name, HERE), _one_token)


def measure_chat_model(environment: Environment, *, seconds: float) -> Report:
    """Return what the first server can do, whatever the settings assume."""
    url = environment.llm_base_urls[0]
    server = Server(
        url, environment.llm_api_key, seconds=seconds, from_console=environment.is_stored("llm_base_url")
    )
    report = _fill_report(Report("chat", environment.llm_model or "", strip_credentials(url)), server, _chats)
    if report.ok and report.context_tokens is None:
        assumed = environment.llm_context_tokens
        report.remarks.append(f"It does not tell its context: {assumed} tokens are assumed")
    if report.alternates is False:
        report.remarks.append(_NO_TURNS)
    return report


def _fill_report(report: Report, server: Server, check: Callable[[Report, Server], None]) -> Report:
    with server:
        try:
            _look(report, server)
            check(report, server)
        except CairnError as error:
            report.problem = report.problem or error.message
    return report


def _look(report: Report, server: Server) -> None:
    """Report the models served. Not every server lists them."""
    try:
        served = server.list_models()
    except ConfigurationError as refused:
        report.remarks.append(f"It does not list its models: it {refused.message}")
        return
    report.served = served.models
    report.context_tokens = served.contexts.get(report.model)
    if report.model not in served.models and f"{report.model}:latest" not in served.models:
        raise ConfigurationError(f"does not serve “{report.model}” but {_format_names(served.models)}")


def _format_names(names: tuple[str, ...]) -> str:
    return ", ".join(f"“{name}”" for name in names[:10]) or "nothing"


def _chats(report: Report, server: Server) -> None:
    plain = server.one_token(report.model, _PING)
    report.milliseconds = plain.milliseconds
    report.context_tokens = report.context_tokens or server.context_of(report.model)
    report.alternates = _accepts(server, report.model, _TURNS)
    report.system_role = _hears(server, report.model, plain)


def _hears(server: Server, model: str, plain: ProbeResult) -> bool:
    """Return whether the chat template uses the system message: some refuse it, and some drop it."""
    try:
        ruled = server.one_token(model, _SYSTEM)
    except ConfigurationError:
        return False
    return ruled.prompt_tokens is None or ruled.prompt_tokens != plain.prompt_tokens


def _accepts(server: Server, model: str, messages: list[Message]) -> bool:
    try:
        server.one_token(model, messages)
    except ConfigurationError:
        return False
    return True


def _compare_with_settings(report: Report, environment: Environment) -> Report:
    """Compare the report with the settings in use."""
    assumed, known = environment.llm_context_tokens, report.context_tokens
    if environment.llm_system_role and report.system_role is False:
        report.problem = "Its chat template takes no system role: set LLM_SYSTEM_ROLE=false"
    elif known is not None and known < assumed:
        report.problem = (
            f"It takes {known} tokens, fewer than LLM_CONTEXT_TOKENS={assumed}: set it to {known}"
        )
    elif known is None:
        report.remarks.append(f"It does not tell its context: LLM_CONTEXT_TOKENS={assumed} must fit")
    elif known > assumed:
        report.remarks.append(f"It takes {known} tokens, and LLM_CONTEXT_TOKENS={assumed} uses fewer")
    if report.alternates is False:
        report.remarks.append(_NO_TURNS)
    return report


def _embedder(environment: Environment) -> Report:
    url, name = environment.embedding_base_url, environment.embedding_model
    if url:
        server = Server(url, environment.embedding_api_key, seconds=_SECONDS)
        return _fill_report(Report("embeddings", name, strip_credentials(url)), server, _embeds)
    return _try_model(Report("embeddings", name, HERE), lambda: registry.embedder().embed_query("ping"))


def _embeds(report: Report, server: Server) -> None:
    body = {"model": report.model, "input": ["ping"], "encoding_format": "float"}
    answer, report.milliseconds = server.post("/embeddings", body)
    try:
        report.dimension = len(answer["data"][0]["embedding"])
    except (KeyError, IndexError, TypeError) as error:
        raise Unavailable("answers without a vector") from error


def _reranker(environment: Environment) -> Report:
    url, name = environment.reranker_base_url, reranker_name(environment)
    return _try_model(
        Report("reranker", name, strip_credentials(url) if url else HERE), lambda: registry.reranker().probe()
    )


def _one_token() -> None:
    with registry.chat_model().stream(ClearedMessages([ChatMessage("Say hello.")]), max_tokens=1) as answer:
        for _ in answer:
            pass


def _try_model(report: Report, work: Callable[[], object]) -> Report:
    """Run the model twice and time the second run: loading does not count."""
    try:
        work()
        began = time.perf_counter()
        work()
    except CairnError as error:
        report.problem = error.message
    else:
        report.milliseconds = round((time.perf_counter() - began) * 1000)
    return report
