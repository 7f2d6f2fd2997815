"""Ask a question and print the answer."""

from typing import Any

from django.core.management.base import CommandParser

from cairn.errors import Unavailable
from web.cli.api_client import Api, ApiProblem, Json
from web.cli.server_connection import client
from web.management.base import CairnCommand, knowledge_bases


class Command(CairnCommand):
    help = "Ask a question and get an answer with sources."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("question", metavar="QUESTION")
        parser.add_argument("--kb", metavar="SLUG", help="knowledge base (default: all)")

    def handle(self, *_args: Any, **options: Any) -> None:
        with client(self.reporter(options), command="manage.py ask") as connected:
            body = {"question": options["question"]} | knowledge_bases(connected.api, options["kb"])
            if options["as_json"]:
                self.write_json(connected.api.post("/api/v1/ask", body))
            else:
                self._stream(connected.api, body)

    def _stream(self, api: Api, body: Json) -> None:
        sources: dict[str, str] = {}
        for name, data in api.events("/api/v1/ask", {**body, "stream": True}):
            match name:
                case "sources":
                    sources = {hit["document"]: hit["source_uri"] for hit in data}
                case "delta":
                    self.stdout.write(data["text"], ending="")
                    self.stdout.flush()
                case "done":
                    self._end(data, sources)
                    return
                case "error":
                    raise ApiProblem(int(data.get("status", 500)), data)
        raise Unavailable("The answer broke off.")

    def _end(self, answer: Json, sources: dict[str, str]) -> None:
        if not answer["answer"]:
            self.stdout.write(answer["reason"])
        self.stdout.write("")
        for citation in answer["citations"]:
            where = sources.get(citation["document"]) or citation["title"]
            page = f", page {citation['page']}" if citation.get("page") else ""
            self.stdout.write(f"[{citation['marker']}] {citation['title']}  ({where}{page})")
        if not answer["verdict"]:  # small talk
            return
        reason = f": {answer['reason']}" if answer["reason"] and answer["answer"] else ""
        self.stdout.write(f"Verdict: {answer['verdict']}{reason}")
