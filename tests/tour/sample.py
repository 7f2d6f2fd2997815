"""A server that has everything there is to look at."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from tests.servers import ROOT, Server, server_environment
from tests.tour.library import filled

NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Sample:
    """`things`: by the names of the routes' parameters. `sessions`: of people by their name. `failures`:
    pages that no request brings about at will, by their status."""

    server: Server
    things: Mapping[str, str]
    sessions: Mapping[str, str]
    cookie: str
    failures: Mapping[str, str]

    def path(self, template: str) -> str:
        try:
            return template.format(**self.things)
        except KeyError as missing:
            raise AssertionError(
                f"{template} needs a thing {missing}: make one in tests/tour/library.py (over REST) or "
                "tests/tour/people.py (over the ORM) and return its id under that name"
            ) from None


def sample(server: Server) -> Sample:
    headers = {"Authorization": f"Bearer {server.key()}"}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=60) as api:
        library = filled(api)
    done = subprocess.run(
        [sys.executable, "-m", "tests.tour.people"],
        input=json.dumps(library),
        env={**server_environment(server.data_dir), "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    people = json.loads(done.stdout)
    cookie, sessions, failures = (people.pop(name) for name in ("cookie", "sessions", "failures"))
    documents = library.pop("documents")
    files = {name.replace(".", "_"): identity for name, identity in documents.items()}
    things = {
        **library,
        **people,
        **files,
        "import_id": documents["import"],
        "after": "0",
        "code": "no_text",
        "section": "branding",
    }
    return Sample(server, things, sessions, cookie, failures)
