"""Models page for admins: configured models, their status, and index generations."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe
from llama_index.core.llms import ChatMessage

from cairn.access.principals import require_admin
from cairn.access.scope import Principal
from cairn.audit.services import record
from cairn.errors import CairnError, NotFound
from cairn.inference import registry
from cairn.inference.chat.prompt_messages import ClearedMessages
from cairn.inference.model_identity import place_of
from cairn.inference.reranking import reranker_name
from cairn.settings import Environment
from cairn.settings.stored.store import chat_model_variable, effective_environment
from retrieval.conversations.answer_models import answer_profile
from retrieval.evaluation.candidates import find_name
from retrieval.index.generations import active, active_generation, choice_of, unlike_configured
from retrieval.models import GenerationState, IndexGeneration
from retrieval.profile_store import stored_profile
from web.api.administration.index_generations import Generation
from web.data_dir.help_documents import find_help_document
from web.health.secrets import without_secrets
from web.model_tests.outside_gate import find_operator_choice
from web.pages.settings.registered_models import list_registered_models
from web.pages.shell.decorators import fragment, page, show

log = logging.getLogger(__name__)

LIMIT_SECONDS: Final = 20
PACKAGED: Final = "SmolLM2-135M-Instruct"
HERE: Final = gettext_lazy("in process")
LABELS: Final = {
    "chat": (gettext_lazy("Language model"), gettext_lazy("Writes answers")),
    "embedder": (gettext_lazy("Embedding model"), gettext_lazy("Finds passages by meaning")),
    "reranker": (gettext_lazy("Reranker"), gettext_lazy("Ranks passages")),
    "reader": (gettext_lazy("Reader model"), gettext_lazy("Checks whether a passage contains the answer")),
    "inference": (
        gettext_lazy("Grounding model"),
        gettext_lazy("Checks whether a passage supports a sentence"),
    ),
}
STATES: Final = {
    GenerationState.BUILDING: gettext_lazy("Being built"),
    GenerationState.READY: gettext_lazy("Ready to activate"),
    GenerationState.ACTIVE: gettext_lazy("Active"),
    GenerationState.RETIRED: gettext_lazy("Previous index"),
    GenerationState.REMOVING: gettext_lazy("Removing"),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check. `problem` is empty on success."""

    milliseconds: int
    problem: str


@dataclass(frozen=True, slots=True)
class Model:
    """`name` is empty if not configured. `where`: a host, never a whole URL."""

    kind: str
    name: str
    where: str | Promise
    facts: Sequence[str]
    checked: Checked | None = None

    @property
    def label(self) -> Promise:
        return LABELS[self.kind][0]

    @property
    def purpose(self) -> Promise:
        return LABELS[self.kind][1]


@dataclass(frozen=True, slots=True)
class GenerationRow:
    found: Generation
    state: str | Promise


@require_safe
@page
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    require_admin(principal)
    return _render_page(request, principal, {})


@require_POST
@page
def check(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Check one model by requesting a token, a vector or a score."""
    require_admin(principal)
    kind = request.POST.get("model", "")
    if not any(each.kind == kind and each.name for each in _models({})):
        raise NotFound
    found = _run_check(kind)
    record(
        "models.checked",
        actor=principal.actor,
        subject=f"model:{kind}",
        answered=not found.problem,
        milliseconds=found.milliseconds,
    )
    return _render_page(request, principal, {kind: found})


@require_safe
@fragment
def generations(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Render progress. After a state change the page is reloaded to update its buttons."""
    require_admin(principal)
    rows = _generations()
    response = render(request, "pages/console/_generations.html", {"generations": rows})
    if request.GET.get("seen", "") != _encode_states(rows):
        response["HX-Refresh"] = "true"
    return response


def _render_page(request: HttpRequest, principal: Principal, checked: dict[str, Checked]) -> HttpResponse:
    rows = _generations()
    by_state = {row.found.state: row.found for row in rows}
    context = {
        "tab": "models",
        "models": _models(checked),
        "limit": LIMIT_SECONDS,
        "is_demonstration": effective_environment().has_packaged_chat_model,
        "model_guide": find_help_document("docs/operate/language-models.md", principal),
        "registered": list_registered_models(),
        "variable": chat_model_variable(),
        "generations": rows,
        "seen": _encode_states(rows),
        "moving": any(row.found.state in _MOVING or row.found.swap_requested for row in rows),
        "next": by_state.get(GenerationState.BUILDING) or by_state.get(GenerationState.READY),
        "retired": by_state.get(GenerationState.RETIRED),
        "note": unlike_configured(active_generation()),
    }
    return show(request, principal, "pages/console/models.html", context, area="console")


_MOVING = (GenerationState.BUILDING, GenerationState.REMOVING)


def _generations() -> list[GenerationRow]:
    rows = IndexGeneration.objects.order_by("-created_at", "-id")
    return [GenerationRow(Generation.of(row), STATES[GenerationState(row.state)]) for row in rows]


def _encode_states(rows: Sequence[GenerationRow]) -> str:
    return ".".join(f"{row.found.name}-{row.found.state}-{row.found.swap_requested:d}" for row in rows)


def _models(checked: dict[str, Checked]) -> list[Model]:
    given = effective_environment()
    answering = active_generation()
    embedder = choice_of(answering)
    found = [
        (
            "chat",
            _chat_name(given),
            given.llm_base_urls,
            [*_location(given), *_operator_choice(), *_context(), *_profile_facts()],
        ),
        (
            "embedder",
            embedder.model,
            _only(given.embedding_base_url if embedder.served else None),
            [_("%(n)s dimensions") % {"n": answering.dimension}, *_encoder(embedder.served)],
        ),
        (
            "reranker",
            reranker_name(given),
            _only(given.reranker_base_url),
            [],
        ),
        ("reader", given.answerability_model or "", (), []),
        ("inference", given.grounding_model or "", (), []),
    ]
    return [
        Model(kind, _short(name), _hosts(urls), facts, checked.get(kind)) for kind, name, urls, facts in found
    ]


def _chat_name(given: Environment) -> str:
    """Return the name by which admins know the language model."""
    if given.has_packaged_chat_model:
        return PACKAGED
    if given.llm_base_url:
        return find_name(place_of(given))
    return given.llm_model or given.llm_class or given.local_chat_model or ""


def _location(given: Environment) -> list[str]:
    return [_("Outside")] if given.llm_location == "outside" else []


def _operator_choice() -> list[str]:
    source = find_operator_choice()
    return [_("Activated outside the gate, by %(source)s") % {"source": source}] if source else []


def _context() -> list[str]:
    """Return the context size. That of an in-process model is known once it was loaded."""
    given, chat = effective_environment(), registry.loaded_chat_model()
    assumed = given.llm_context_tokens if given.llm_base_url else None
    tokens = chat.context_tokens if chat else assumed
    return [_("%(n)s tokens of context") % {"n": tokens}] if tokens else []


def _profile_facts() -> list[str]:
    """Return how answers use the language model."""
    profile, row = (
        answer_profile(writes=effective_environment().writes_answers),
        stored_profile(effective_environment().chat_model_name),
    )
    if profile.writes:
        facts = [_("Writes answers with the prompt %(version)s") % {"version": profile.prompt_version}]
    else:
        facts = [_("Answers are quotes from the passages")]
    if profile.judges:
        facts.append(_("Also decides whether the passages contain the answer"))
    if row is not None:
        facts.append(_("Chosen with %(n)s gold questions") % {"n": row.questions})
    return facts


def _encoder(served: bool) -> list[str]:
    """Return the back end of an in-process encoder."""
    return (
        [] if served else [_("Encoder: %(backend)s") % {"backend": effective_environment().embedding_backend}]
    )


def _short(name: str) -> str:
    """Return the last part of a path, to hide where models are stored on the server."""
    return name.rstrip("/").rpartition("/")[2] if name.startswith("/") else name


def _only(url: str | None) -> Sequence[str]:
    return [url] if url else []


def _hosts(urls: Sequence[str]) -> str | Promise:
    """Return hosts without URLs, which may contain passwords."""
    return ", ".join(urlsplit(url).netloc.rpartition("@")[2] for url in urls) or HERE


def _run_check(kind: str) -> Checked:
    """Run the check in a separate thread, which is abandoned on timeout."""
    began = time.perf_counter()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model-check")
    try:
        pool.submit(_call_of(kind)).result(timeout=LIMIT_SECONDS)
        problem = ""
    except TimeoutError:
        problem = _("No response within %(n)s seconds.") % {"n": LIMIT_SECONDS}
    except CairnError as error:
        log.warning("check of %s failed: %s", kind, type(error).__name__)
        problem = without_secrets(error.message, effective_environment())
    finally:
        pool.shutdown(wait=False)
    return Checked(round((time.perf_counter() - began) * 1000), problem)


def _call_of(kind: str) -> Callable[[], Any]:
    """Return the call to check. Database queries happen here, before the thread."""
    if kind == "embedder":
        embedder = active().embedder
        return lambda: embedder.embed_query("ping")
    return {
        "chat": _one_token,
        "reranker": lambda: registry.reranker().probe(),
        "reader": lambda: registry.answer_reader().answerable("Ping?", ["Pong."]),
        "inference": lambda: registry.language_inference().infer([("Pong.", "Ping.")]),
    }[kind]


def _one_token() -> None:
    with registry.chat_model().stream(ClearedMessages([ChatMessage("ping")]), max_tokens=1) as answer:
        for _piece in answer:
            pass
