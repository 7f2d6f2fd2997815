"""Services for comparisons of two models over gold questions: one at a time, on request, by a worker."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.selectors import scope_for
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import CairnError, Conflict, InvalidInput
from cairn.inference.model_identity import ModelPlace, place_of
from cairn.library.models import KnowledgeBase
from cairn.messages import CodedMessage
from cairn.settings import Environment
from ingestion import broker
from retrieval.evaluation.candidates import open_candidate, settings_for
from retrieval.evaluation.gold_file import GoldQuestion, Kind
from retrieval.evaluation.gold_questions import gold_questions_for
from retrieval.evaluation.model_comparisons.answers import ask_both
from retrieval.evaluation.model_comparisons.verdicts import list_needed
from retrieval.evaluation.models import ModelComparison, TrialState
from web.model_tests.heartbeat import CancelWatch, is_abandoned, report_alive

log = logging.getLogger(__name__)

MAX_STORED: Final = 100


def comparison_begin(
    *,
    principal: Principal,
    first: str,
    second: str,
    knowledge_base: KnowledgeBase,
    questions: Sequence[GoldQuestion] = (),
) -> ModelComparison:
    """Queue a comparison for a worker. Without `questions`, those of the knowledge base are asked. Raises
    InvalidInput for unknown or equal models and without questions, Conflict while another one runs."""
    places = [place_of(_settings_of(name)) for name in (first, second)]
    if places[0] == places[1]:
        raise InvalidInput(gettext_noop("Choose two different models."))
    gold = list(questions) or _load_gold(principal, knowledge_base)
    if not gold:
        raise InvalidInput(gettext_noop("This knowledge base has no gold questions. Create some first."))
    comparisons_end_abandoned()
    with transaction.atomic():
        row = ModelComparison(
            knowledge_base=knowledge_base,
            first=first,
            first_server=places[0].server,
            first_model=places[0].name,
            second=second,
            second_server=places[1].server,
            second_model=places[1].name,
            gold=[question.model_dump(mode="json") for question in gold],
            requested_by_id=principal.user,
        )
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(gettext_noop("A comparison is already in progress.")) from error
        record(
            "models.comparison_started",
            actor=principal.actor,
            subject=f"model-comparison:{row.id}",
            first=first,
            second=second,
        )
        transaction.on_commit(lambda: broker.send("web.model_comparison", broker.MODEL_TESTS, str(row.id)))
    return row


def _settings_of(name: str) -> Environment:
    """Return the settings of a model. Raises Conflict for a model outside: a comparison shows it passages of
    all documents, whatever their knowledge base allows."""
    settings = settings_for(name)
    if settings.llm_location == "outside":
        raise Conflict(gettext_noop("Models outside your organisation can’t be compared on your documents."))
    return settings


def _load_gold(principal: Principal, base: KnowledgeBase) -> list[GoldQuestion]:
    return [
        GoldQuestion(
            id=str(row.id),
            question=row.question,
            kind=Kind(row.kind),
            history=tuple(row.history),
            relevant=tuple(
                source.document.source_uri or str(source.document_id) for source in row.sources.all()
            ),
            must_contain=tuple(row.must_contain),
        )
        for row in gold_questions_for(principal).filter(knowledge_base=base)
        if row.complete
    ]


def comparison_run(comparison_id: UUID) -> None:
    """Carry out a comparison. A message that arrives a second time does nothing."""
    unclaimed = ModelComparison.objects.filter(pk=comparison_id, state=TrialState.RUNNING, started_at=None)
    if not unclaimed.update(started_at=timezone.now(), alive_at=timezone.now()):
        return
    row = ModelComparison.objects.select_related("requested_by", "knowledge_base").get(pk=comparison_id)
    try:
        with report_alive(ModelComparison.objects.filter(pk=row.pk)):
            _compare_models(row)
    except CairnError as error:
        _end(row, TrialState.FAILED, error.message)
        return
    except BaseException:
        _end(row, TrialState.FAILED, CodedMessage("comparison_failed"))
        raise
    _end(row, TrialState.DONE)


def _compare_models(row: ModelComparison) -> None:
    """Ask both models each question, one after the other, with what the requesting user may read now."""
    settings = {"first": _settings_of(row.first), "second": _settings_of(row.second)}
    for name, found in settings.items():
        place = place_of(found)
        if place != ModelPlace(getattr(row, f"{name}_server"), getattr(row, f"{name}_model")):
            raise Conflict(CodedMessage("comparison_moved"))
    scope = scope_for(principal_for_user(_require_user(row)), [row.knowledge_base_id])
    watch = CancelWatch(ModelComparison.objects.filter(pk=row.pk))
    with ExitStack() as stack:
        engines = {name: stack.enter_context(open_candidate(found)) for name, found in settings.items()}
        for question in map(GoldQuestion.model_validate, row.gold):
            if watch.has_ended():
                raise Conflict(CodedMessage("comparison_interrupted"))
            result = ask_both(question, scope=scope, engines=engines, cancelled=watch.has_ended_lately)
            row.results.append(result)
            row.save(update_fields=["results"])


def _require_user(row: ModelComparison) -> User:
    if row.requested_by is None:
        raise Conflict(CodedMessage("comparison_interrupted"))
    return row.requested_by


def comparison_cancel(*, row: ModelComparison, actor: UUID | None) -> None:
    """End a comparison at once; its worker stops the model. Raises Conflict if it has ended."""
    if not _end(row, TrialState.CANCELLED, actor=actor):
        raise Conflict(gettext_noop("This comparison has already ended."))


def _end(row: ModelComparison, state: TrialState, error: str = "", *, actor: UUID | None = None) -> bool:
    """End a comparison, and return whether it hadn't ended before."""
    # Expected words are from documents, and must not stay here when these are erased.
    gold = [{"id": question["id"]} for question in row.gold]
    ended = {"state": state, "error": error, "ended_at": timezone.now(), "gold": gold}
    with transaction.atomic():
        if not ModelComparison.objects.filter(pk=row.pk, state=TrialState.RUNNING).update(**ended):
            return False
        row.refresh_from_db(fields=ended.keys())
        record(
            "models.comparison_ended",
            actor=actor,
            subject=f"model-comparison:{row.id}",
            state=state.value,
        )
        old = set(ModelComparison.objects.values_list("pk", flat=True)[MAX_STORED:])
        if old:
            ModelComparison.objects.filter(pk__in=old - list_needed()).delete()
    return True


def comparisons_end_abandoned() -> None:
    """End comparisons whose worker was killed."""
    for row in ModelComparison.objects.filter(is_abandoned()):
        _end(row, TrialState.FAILED, CodedMessage("comparison_interrupted"))
