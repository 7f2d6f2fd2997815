"""Search passages."""

from typing import Any

from django.core.management.base import CommandParser

from web.cli.api_client import Json
from web.cli.server_connection import client
from web.management.base import CairnCommand, knowledge_bases

_WIDTH = 240


class Command(CairnCommand):
    help = "Search for passages."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("query", metavar="QUERY")
        parser.add_argument("--kb", metavar="SLUG", help="knowledge base (default: all)")
        parser.add_argument("--top", type=int, default=10, metavar="N", help="number of results (1-100)")

    def handle(self, *_args: Any, **options: Any) -> None:
        with client(self.reporter(options), command="manage.py search") as connected:
            body = {"query": options["query"], "top_k": options["top"]}
            answer = connected.api.post(
                "/api/v1/search", body | knowledge_bases(connected.api, options["kb"])
            )
        if options["as_json"]:
            self.write_json(answer)
            return
        for number, hit in enumerate(answer["results"], 1):
            self.stdout.write(_format_hit(number, hit))
        if not answer["results"]:
            self.stdout.write("No results.")


def _format_hit(number: int, hit: Json) -> str:
    where = hit["source_uri"] or hit["title"]
    page = f", page {hit['page']}" if hit.get("page") else ""
    text = " ".join(hit["text"].split())
    text = f"{text[:_WIDTH]}…" if len(text) > _WIDTH else text
    return f"{number}. {hit['title']}  ({where}{page})  {hit['score']:.3f}\n   {text}"
