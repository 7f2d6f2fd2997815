"""Restore a backup."""

from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandParser

from cairn.errors import CairnError, InvalidInput
from web.backup.erasures import Erasure, erasures_in
from web.backup.gold_answers import differing
from web.backup.manifest import GOLD
from web.backup.restore import Restored, restore
from web.cli.server_connection import client
from web.data_dir.restore_marker import unfinished_file
from web.management.base import SOME_FAILED, CairnCommand

_HALF: Final = "The restore is incomplete, and Cairn won't start. Run restore again with --force."


class Command(CairnCommand):
    help = (
        "Replace this installation with a backup while Cairn is stopped. "
        f"Exit code {SOME_FAILED}: restored, but the audit log or an answer differs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, metavar="FOLDER", help="folder created by backup")
        parser.add_argument("--force", action="store_true", help="overwrite existing data")
        parser.add_argument(
            "--allow-unauthenticated",
            action="store_true",
            help="accept a backup without a valid signature; a manipulated one can take over this server",
        )
        parser.add_argument(
            "--erased",
            type=Path,
            metavar="ERASED.jsonl",
            help="erasures since the backup to apply again (from audit export --action erasure.done)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        source: Path = options["source"].expanduser().resolve()
        erasures = _erasures(options["erased"]) if options["erased"] else []
        reporter = self.reporter(options)
        try:
            restored = restore(
                source,
                force=options["force"],
                allow_unauthenticated=options["allow_unauthenticated"],
                erasures=erasures,
                report=reporter.status,
            )
        except CairnError:
            self._print_unfinished()
            raise
        finally:
            reporter.close()
        unlike = self._unlike(source, options) if (source / GOLD).exists() else None
        self._print(restored, unlike, options)

    def _print_unfinished(self) -> None:
        if unfinished_file().exists():
            self.stderr.write(self.style.WARNING(_HALF))

    def _unlike(self, source: Path, options: dict[str, Any]) -> list[str]:
        with client(self.reporter(options), command="manage.py restore") as connected:
            return list(differing(connected.api, source, lambda _what, _done, _total: None))

    def _print(self, restored: Restored, unlike: list[str] | None, options: dict[str, Any]) -> None:
        if options["as_json"]:
            self.write_json(_as_json(restored, unlike))
        else:
            self._print_text(restored, unlike)
        for note in restored.notes:
            self.stderr.write(self.style.WARNING(note))
        if restored.problem:
            self.fail(f"The audit log: {restored.problem}", code=SOME_FAILED)
        if unlike:
            self.fail(f"Answered otherwise than before: {', '.join(unlike)}", code=SOME_FAILED)

    def _print_text(self, restored: Restored, unlike: list[str] | None) -> None:
        made = f"{restored.manifest.made_at:%Y-%m-%d %H:%M} UTC"
        self.stdout.write(f"As of {made}: {restored.documents} documents; {restored.erased} erased again")
        if unlike is not None and not unlike:
            self.stdout.write("All gold questions get the same answers as before")


def _erasures(path: Path) -> list[Erasure]:
    try:
        with path.open(encoding="utf-8") as lines:
            return erasures_in(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error


def _as_json(restored: Restored, unlike: list[str] | None) -> dict[str, Any]:
    return {
        "made_at": restored.manifest.made_at.isoformat(),
        "documents": restored.documents,
        "erased": restored.erased,
        "audit_problem": restored.problem,
        "notes": restored.notes,
        "answered_otherwise": unlike,
    }
