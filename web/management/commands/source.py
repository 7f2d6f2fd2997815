"""List, check, sync, pause and resume sources."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser
from django.db import OperationalError

from cairn.errors import Conflict, InvalidInput
from ingestion.models import Source, SourceSchedule, SourceTask
from ingestion.sources.check import source_check
from ingestion.sources.dry_run import DryRun, Found, source_dry_run
from ingestion.sources.lease import claim_schedule
from ingestion.sources.protocol import CheckState, CheckStep, first_problem
from ingestion.sources.selectors import item_counts, schedules_of
from ingestion.sources.services import source_pause, source_request, source_resume
from ingestion.sources.sync.run import run_leased
from web.cli.api_client import Json
from web.management.base import FAILED, CairnCommand

DRY_RUN_SECONDS = 6 * 3600.0


class Command(CairnCommand):
    help = "List, check, sync, pause or resume sources."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="show all sources and their last syncs")
        helps = {
            "check": "test the connection",
            "sync": "sync a source now, in this process",
            "pause": "stop syncing a source until it is resumed",
            "resume": "sync a paused source again",
        }
        for name, text in helps.items():
            actions.add_parser(name, help=text).add_argument(
                "source", metavar="SOURCE", help="name or id of the source"
            )
        for action in actions.choices.values():
            action.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)
        sync = actions.choices["sync"]
        sync.add_argument("--task", choices=SourceTask.values, help="sync only this (default: all)")
        instead = sync.add_mutually_exclusive_group()
        instead.add_argument(
            "--full",
            action="store_true",
            help="list everything, import items again that were deleted here, and confirm large deletions",
        )
        instead.add_argument(
            "--dry-run", action="store_true", help="only show what would change, and store nothing"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            self._actions[options["action"]](options)
        except OperationalError as error:
            raise InvalidInput("There's no database yet. Start Cairn once.") from error

    @property
    def _actions(self) -> dict[str, Callable[[dict[str, Any]], None]]:
        return {
            "list": self._list,
            "check": self._check,
            "sync": self._dry_run_or_sync,
            "pause": self._pause,
            "resume": self._resume,
        }

    def _list(self, options: dict[str, Any]) -> None:
        rows = [_describe(source) for source in Source.objects.present().select_related("knowledge_base")]
        if options["as_json"]:
            self.write_json(rows)
            return
        for row in rows:
            self.stdout.write(_line(row))

    def _check(self, options: dict[str, Any]) -> None:
        steps = source_check(_find(options["source"]))
        if options["as_json"]:
            self.write_json([{**asdict(step), "state": step.state} for step in steps])
        else:
            for step in steps:
                self.stdout.write(_step_line(step))
        if first_problem(steps):
            sys.exit(FAILED)

    def _dry_run_or_sync(self, options: dict[str, Any]) -> None:
        source = _find(options["source"])
        if options["dry_run"]:
            self._dry_run(source, options)
        else:
            self._sync(source, options)

    def _dry_run(self, source: Source, options: dict[str, Any]) -> None:
        found = source_dry_run(source, seconds=DRY_RUN_SECONDS)
        if options["as_json"]:
            self.write_json(asdict(found))
        else:
            self._print_dry_run(found)
        if found.error or not found.complete:
            self.fail(found.error or "The list of files ended too early.")

    def _print_dry_run(self, found: DryRun) -> None:
        parts: dict[str, Found] = {"new": found.new, "changed": found.changed, "gone": found.gone}
        for name, part in parts.items():
            self.stdout.write(f"{part.count} {name}")
            for uri in part.uris:
                self.stdout.write(f"  {uri}")
        self.stdout.write(f"{found.unchanged} unchanged")
        for container, reason in found.unlisted.items():
            self.stdout.write(f"not listed: {container or '/'}: {reason}")

    def _sync(self, source: Source, options: dict[str, Any]) -> None:
        tasks = [state.task for state in schedules_of(source)]
        order = [SourceTask(options["task"])] if options["task"] else tasks
        for task in sorted(order, key=[SourceTask.PEOPLE, SourceTask.CONTENT, SourceTask.ACCESS].index):
            source_request(source=source, task=task, principal=None, full=options["full"])
            _run(source, task)
        row = _describe(source)
        if options["as_json"]:
            self.write_json(row)
        else:
            self.stdout.write(_line(row))
        if any(state["failures"] for state in row["tasks"]):
            sys.exit(FAILED)

    def _pause(self, options: dict[str, Any]) -> None:
        source_pause(source=_find(options["source"]), principal=None)

    def _resume(self, options: dict[str, Any]) -> None:
        source_resume(source=_find(options["source"]), principal=None)


def _find(text: str) -> Source:
    """Return the source with this name or id. Raises InvalidInput if there is none, or several."""
    rows = Source.objects.present().select_related("knowledge_base", "user")
    found = list(rows.filter(pk=text) if _is_id(text) else rows.filter(name=text))
    if not found:
        raise InvalidInput(f"There is no source “{text}”.")
    if len(found) > 1:
        raise InvalidInput(
            f"Several knowledge bases have a source “{text}”. Use its id, which `source list` shows."
        )
    return found[0]


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _run(source: Source, task: SourceTask) -> None:
    """Run a task in this process. If it is interrupted, a worker continues it."""
    lease = claim_schedule(SourceSchedule.objects.get(source=source, task=task).pk)
    if lease is None:
        raise Conflict("This source is being synced, or it is paused.")
    try:
        run_leased(lease)
    except KeyboardInterrupt:
        lease.release()
        raise


def _describe(source: Source) -> Json:
    tasks = [{**asdict(state), **_times(asdict(state))} for state in schedules_of(source)]
    return {
        "id": str(source.id),
        "name": source.name,
        "kind": source.kind,
        "knowledge_base": source.knowledge_base.slug,
        "enabled": source.enabled,
        "items": asdict(item_counts(source)),
        "tasks": tasks,
    }


def _times(state: Json) -> Json:
    return {name: value.isoformat() for name, value in state.items() if hasattr(value, "isoformat")}


def _line(row: Json) -> str:
    items = ", ".join(f"{count} {name}" for name, count in row["items"].items() if count) or "no items"
    head = f"{row['id']}  {row['name']}  {row['kind']} into {row['knowledge_base']}"
    head += "" if row["enabled"] else ", paused"
    return "\n".join([f"{head}: {items}", *(_task_line(task) for task in row["tasks"])])


def _step_line(step: CheckStep) -> str:
    text = step.problem or step.warning or step.detail
    state = "" if step.state == CheckState.PASSED and text else f"{step.state} "
    return f"{step.name}: {state}{text}".rstrip()


def _task_line(task: Json) -> str:
    state = "running" if task["running"] else f"last success {task['succeeded_at'] or 'never'}"
    problem = f"  {task['error']}" if task["error"] else ""
    return f"  {task['task']}: {state}{problem}"
