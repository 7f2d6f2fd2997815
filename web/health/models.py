"""Checks of the models. None of them loads a model."""

from collections.abc import Callable

from django.utils.translation import gettext as _

from cairn.inference import registry
from cairn.inference.registry import Health
from cairn.inference.reranking import reranker_name, reranks
from cairn.settings.stored.store import effective_environment
from retrieval.index.generations import choice_in_use
from retrieval.statistics.models import AskedQuestion
from web.health.results import HealthResult, format_duration, ok, problem, warning
from web.health.secrets import without_secrets

_MODELS_PAGE = "console-models"


def check_language_model() -> HealthResult:
    given, health = effective_environment(), registry.chat_health()
    name = _short(given.chat_model_name)
    if health.detail == registry.NOT_LOADED:
        return _not_loaded(name)
    if not health.ok:
        return _unresponsive(
            _("The language model %(name)s doesn’t respond, so no answers are written.") % {"name": name},
            health,
        )
    took = _last_duration()
    text = _("%(name)s responds.") % {"name": name}
    if took:
        text += " " + _("The last answer took %(time)s.") % {"time": took}
    if given.has_packaged_chat_model:
        text = _("%(name)s is for demonstration only: answers are quotes.") % {"name": name}
        return warning(text, _("Connect a larger model."), page=_MODELS_PAGE)
    return ok(text, page=_MODELS_PAGE)


def _last_duration() -> str:
    times = AskedQuestion.objects.exclude(total_ms=None).exclude(model="")
    milliseconds = times.order_by("-second").values_list("total_ms", flat=True).first()
    return format_duration(milliseconds / 1000) if milliseconds else ""


def check_embedding_model() -> HealthResult:
    choice = choice_in_use()
    health = registry.embedder_health(choice)
    name = _short(choice.model)
    if health.detail == registry.NOT_LOADED:
        return _not_loaded(name)
    if not health.ok:
        return _unresponsive(
            _("The embedding model %(name)s doesn’t respond, so no question can be answered.")
            % {"name": name},
            health,
        )
    return ok(_("%(name)s responds.") % {"name": name}, page=_MODELS_PAGE)


def check_reranker() -> HealthResult:
    return _check_optional(reranker_name(effective_environment()) or _("Reranker"), registry.reranker_health)


def check_answer_reader() -> HealthResult:
    return _check_optional(effective_environment().answerability_model or "", registry.answer_reader_health)


def check_grounding_model() -> HealthResult:
    return _check_optional(effective_environment().grounding_model or "", registry.language_inference_health)


def configured_optional_models() -> dict[str, Callable[[], HealthResult]]:
    given = effective_environment()
    checks = {
        "reranker": (reranks(given), check_reranker),
        "answer_reader": (given.answerability_model, check_answer_reader),
        "grounding_model": (given.grounding_model, check_grounding_model),
    }
    return {name: check for name, (configured, check) in checks.items() if configured}


def _check_optional(name: str, health: Callable[[], Health]) -> HealthResult:
    name, found = _short(name), health()
    if found.ok:
        return ok(_("%(name)s responds.") % {"name": name}, page=_MODELS_PAGE)
    if found.detail == registry.NOT_LOADED:
        return _not_loaded(name)
    return warning(
        _("%(name)s doesn’t respond. Answers still work, but are less accurate.") % {"name": name},
        _("Check its address and its log."),
        page=_MODELS_PAGE,
    )


def _not_loaded(name: str) -> HealthResult:
    return ok(_("%(name)s isn’t loaded yet; it loads when it is first used.") % {"name": name})


def _unresponsive(message: str, health: Health) -> HealthResult:
    remedy = _("Check its address, its key and its log. Then test it:")
    detail = without_secrets(health.detail, effective_environment())
    return problem(message, remedy, command="manage.py models check", page=_MODELS_PAGE, detail=detail)


def _short(name: str) -> str:
    """Return the last part of a path, to hide where models are stored on the server."""
    return name.rstrip("/").rpartition("/")[2] if name.startswith("/") else name
