"""Create a backup while Cairn is running."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from cairn.errors import InvalidInput
from web.backup.create import backup
from web.backup.gold_answers import ask_questions
from web.backup.manifest import Manifest
from web.cli.server_connection import client
from web.management.base import SOME_FAILED, CairnCommand, gold_file, knowledge_bases


class Command(CairnCommand):
    help = (
        "Copy the database, files and vectors of one point in time into a folder while Cairn keeps running. "
        f"Exit code {SOME_FAILED}: something listed in the database was missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "target", type=Path, metavar="FOLDER", help="folder to create; must not exist yet"
        )
        parser.add_argument(
            "--gold", type=Path, metavar="GOLD.jsonl", help="questions to ask now and again after a restore"
        )
        parser.add_argument("--kb", metavar="SLUG", help="knowledge base for --gold")
        parser.add_argument(
            "--verify", action="store_true", help="read the finished backup again and compare every checksum"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if bool(options["gold"]) != bool(options["kb"]):
            raise InvalidInput("--gold and --kb go together.")
        gold = self._ask_gold_questions(options) if options["gold"] else None
        reporter = self.reporter(options)
        try:
            target = options["target"].expanduser().resolve()
            manifest = backup(target, gold=gold, reporter=reporter, is_verified=options["verify"])
        finally:
            reporter.close()
        self._print(manifest, options)

    def _ask_gold_questions(self, options: dict[str, Any]) -> dict[str, Any]:
        questions = gold_file(options["gold"])
        with client(self.reporter(options), command="manage.py backup") as connected:
            (base,) = knowledge_bases(connected.api, options["kb"])["knowledge_bases"]
            return ask_questions(
                connected.api, options["kb"], base, questions, lambda _what, _done, _total: None
            )

    def _print(self, manifest: Manifest, options: dict[str, Any]) -> None:
        if options["as_json"]:
            self.write_json(manifest.model_dump(mode="json"))
        else:
            self.stdout.write(
                f"{options['target']}: {manifest.documents} documents, {manifest.files} files, "
                f"{manifest.vectors} vectors"
            )
        if manifest.missing:
            self.fail(f"Missing: {', '.join(manifest.missing[:20])}", code=SOME_FAILED)
