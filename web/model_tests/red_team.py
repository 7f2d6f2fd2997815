"""Services for red team runs: one at a time, on request, by a worker."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.audit.services import record
from cairn.errors import CairnError, Conflict
from cairn.inference.model_identity import place_of
from cairn.messages import CodedMessage
from ingestion import broker
from retrieval.evaluation.candidates import open_candidate, settings_for
from retrieval.evaluation.models import RedTeamRun, TrialState
from retrieval.evaluation.red_team import SUITE_VERSION
from retrieval.evaluation.red_team.attack_file import Attack, Category, load_attacks, sample_attacks
from retrieval.evaluation.red_team.trial import run_attack
from retrieval.index.protocol import Filters
from web.model_tests.heartbeat import CancelWatch, is_abandoned, report_alive
from web.model_tests.planting import plant_documents, remove_planted

log = logging.getLogger(__name__)

MAX_STORED_RUNS: Final = 100


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of attacks: all, and those that the answers and the model’s own texts withstood."""

    attacks: int
    answer: int
    model: int


def red_team_begin(
    *, requested_by: UUID | None, model: str | None = None, sample: int | None = None, seed: int = 0
) -> RedTeamRun:
    """Queue a run for a worker. Raises InvalidInput for an unknown model, Conflict while another one runs."""
    place = place_of(settings_for(model))
    total = len(sample_attacks(load_attacks(), sample, seed))
    runs_end_abandoned()
    with transaction.atomic():
        run = RedTeamRun(
            server=place.server,
            model=place.name,
            chosen=model or "",
            sample=sample,
            seed=seed,
            total=total,
            requested_by_id=requested_by,
        )
        try:
            with transaction.atomic():
                run.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(gettext_noop("A red team run is already in progress.")) from error
        record("red_team.started", actor=requested_by, subject=f"red-team-run:{run.id}", model=run.model)
        transaction.on_commit(lambda: _send(run), robust=True)
    return run


def _send(run: RedTeamRun) -> None:
    broker.send("web.red_team", broker.MODEL_TESTS, str(run.id))


def red_team_run(run_id: UUID) -> None:
    """Carry out a run. A message that arrives a second time does nothing."""
    unclaimed = RedTeamRun.objects.filter(pk=run_id, state=TrialState.RUNNING, started_at=None)
    if not unclaimed.update(started_at=timezone.now(), alive_at=timezone.now()):
        return
    run = RedTeamRun.objects.get(pk=run_id)
    try:
        with _ending(run), report_alive(RedTeamRun.objects.filter(pk=run.pk)):
            _attack_model(run, sample_attacks(load_attacks(), run.sample, run.seed))
    except CairnError:
        log.warning("red team run %s has failed: %s", run.pk, run.error)


@contextmanager
def _ending(run: RedTeamRun) -> Iterator[None]:
    """End the run with the state that fits, whatever happens."""
    try:
        yield
    except CairnError as error:
        _end(run, TrialState.FAILED, error.message)
        raise
    except BaseException:
        _end(run, TrialState.FAILED, CodedMessage("red_team_failed"))
        raise
    _end(run, TrialState.DONE)


def _attack_model(run: RedTeamRun, attacks: Sequence[Attack]) -> None:
    settings = settings_for(run.chosen or None)
    place = place_of(settings)
    run.server, run.model, run.suite_version = place.server, place.name, SUITE_VERSION
    run.save(update_fields=["server", "model", "suite_version"])
    watch = CancelWatch(RedTeamRun.objects.filter(pk=run.pk))
    with (
        open_candidate(settings) as engine,
        plant_documents(run, attacks) as planted,
    ):
        for attack in attacks:
            if watch.has_ended():
                raise Conflict(CodedMessage("red_team_interrupted"))
            filters = Filters(document_ids=planted.documents[attack.id])
            result = run_attack(
                attack, scope=planted.scope, filters=filters, engine=engine, cancelled=watch.has_ended_lately
            )
            run.results.append(result)
            run.save(update_fields=["results"])
            planted.prolong()


def red_team_cancel(*, run: RedTeamRun, actor: UUID | None) -> None:
    """End a run at once; its worker stops the model and removes what it planted. Raises
    Conflict if the run has ended."""
    if not _end(run, TrialState.CANCELLED, actor=actor):
        raise Conflict(gettext_noop("This run has already ended."))


def _end(run: RedTeamRun, state: TrialState, error: str = "", *, actor: UUID | None = None) -> bool:
    """End a run, and return whether it hadn't ended before."""
    ended = {"state": state, "error": error, "ended_at": timezone.now()}
    with transaction.atomic():
        if not RedTeamRun.objects.filter(pk=run.pk, state=TrialState.RUNNING).update(**ended):
            return False
        run.refresh_from_db(fields=ended.keys())
        record("red_team.ended", actor=actor, subject=f"red-team-run:{run.id}", state=state.value)
        old = RedTeamRun.objects.filter(account=None).values_list("pk", flat=True)[MAX_STORED_RUNS:]
        RedTeamRun.objects.filter(pk__in=list(old)).delete()
    return True


def runs_end_abandoned() -> None:
    """End runs whose worker was killed, and remove what any ended run has left."""
    for run in RedTeamRun.objects.filter(is_abandoned()):
        _end(run, TrialState.FAILED, CodedMessage("red_team_interrupted"))
    for run in RedTeamRun.objects.exclude(state=TrialState.RUNNING).exclude(account=None):
        remove_planted(run)


def score_of(run: RedTeamRun) -> Score:
    return _count(run.results)


def scores_by_category(run: RedTeamRun) -> dict[str, Score]:
    """Return the score in each category that was tested, in the usual order."""
    found = {each: [row for row in run.results if row["category"] == each.value] for each in Category}
    return {category.value: _count(rows) for category, rows in found.items() if rows}


def _count(rows: Sequence[dict[str, Any]]) -> Score:
    return Score(
        len(rows),
        sum(row["answer"]["withstood"] for row in rows),
        sum(row["model"]["withstood"] for row in rows),
    )
