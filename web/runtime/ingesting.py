"""Handing files to a server, and waiting for what becomes of them."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils.text import slugify

from cairn.errors import CairnError, InvalidInput, TransientError
from web.runtime.api import Api, ApiProblem, Json
from web.runtime.uploads import Found, LocalFile

_AT_ONCE = 16  # documents asked about in one round: they end in about the order they came in
_ROUND_SECONDS = 1.0
_ABOUT_THE_FILE = {400, 409, 413, 415, 422}

Tick = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Failure:
    source_uri: str
    code: str
    message: str


@dataclass(slots=True)
class Summary:
    """`unchanged`: ready before, with the same bytes. `waiting`: accepted, and nobody waited."""

    ready: int = 0
    unchanged: int = 0
    waiting: int = 0
    hidden: int = 0
    failed: list[Failure] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {
            "ready": self.ready,
            "accepted": self.waiting,
            "failed": len(self.failed),
            "unchanged": self.unchanged,
            "hidden left out": self.hidden,
        }
        shown = [f"{count} {what}" for what, count in counts.items() if count]
        return ", ".join(shown) or "nothing to do"


@dataclass(frozen=True, slots=True)
class Submitted:
    """`document` as the server described it last; `changed`: this upload made a new version."""

    source_uri: str
    document: Json
    changed: bool

    @property
    def newest(self) -> Json:
        """Status and error of the version uploaded last."""
        newest: Json = self.document.get("pending") or self.document
        return newest

    @property
    def ended(self) -> bool:
        return self.newest["status"] not in {"queued", "processing"}


def knowledge_base_id(api: Api, slug: str) -> str | None:
    return next((base["id"] for base in api.pages("/api/v1/knowledge-bases") if base["slug"] == slug), None)


def knowledge_base_ensure(api: Api, slug: str) -> str:
    """Its id; made, with a name from the slug, if it is not there."""
    name = slug.replace("-", " ").capitalize()
    if not slug or slugify(name) != slug:
        raise InvalidInput(f"“{slug}” is no slug. Write it like “{slugify(slug) or 'handbook'}”.")
    known = knowledge_base_id(api, slug)
    return known or str(api.post("/api/v1/knowledge-bases", {"name": name})["id"])


def submit(api: Api, base: str, found: Found, summary: Summary, tick: Tick) -> list[Submitted]:
    """Uploads one file after the other. A file that is refused is counted, and the next one follows."""
    submitted = []
    summary.hidden = found.hidden
    summary.failed += [Failure(uri, str(error.code), error.message) for uri, error in found.rejected]
    for number, file in enumerate(found.files):
        tick("Uploading", number, len(found.files))
        try:
            submitted.append(_upload(api, base, file))
        except OSError as error:
            message = f"The file cannot be read: {error.strerror or error}."
            summary.failed.append(Failure(file.source_uri, "unreadable", message))
        except CairnError as error:
            if not _about_the_file(error):
                raise
            summary.failed.append(Failure(file.source_uri, str(error.code), error.message))
    tick("Uploading", len(found.files), len(found.files))
    return submitted


def _upload(api: Api, base: str, file: LocalFile) -> Submitted:
    with file.open() as stream:
        answer = api.upload(
            f"/api/v1/knowledge-bases/{base}/documents",
            file=(file.name, stream),
            fields={"source_uri": file.source_uri},
        )
    return Submitted(file.source_uri, answer["document"], changed=answer.get("job") is not None)


def _about_the_file(error: CairnError) -> bool:
    """What is wrong with the server, or with the key, is wrong with every file."""
    if isinstance(error, ApiProblem):
        return error.status_code in _ABOUT_THE_FILE
    return not isinstance(error, TransientError)


def wait(api: Api, submitted: list[Submitted], summary: Summary, tick: Tick) -> None:
    """Until every document has ended. Asks about the oldest few only, so that waiting costs little."""
    open_ones = deque(submitted)
    while open_ones:
        tick("Processing", len(submitted) - len(open_ones), len(submitted))
        asked = [_look_again(api, open_ones.popleft()) for _ in range(min(_AT_ONCE, len(open_ones)))]
        for one in asked:
            if one.ended:
                count(one, summary)
        still = [one for one in asked if not one.ended]
        open_ones.extendleft(reversed(still))
        if still:
            time.sleep(_ROUND_SECONDS)
    tick("Processing", len(submitted), len(submitted))


def _look_again(api: Api, one: Submitted) -> Submitted:
    if one.ended:
        return one
    try:
        document = api.get(f"/api/v1/documents/{one.document['id']}")
    except ApiProblem as problem:
        if problem.status_code != 404:
            raise
        gone = {"code": problem.code, "message": "Somebody deleted it meanwhile."}
        document = {**one.document, "pending": None, "status": "deleted", "error": gone}
    return Submitted(one.source_uri, document, one.changed)


def count(one: Submitted, summary: Summary) -> None:
    error = one.newest.get("error")
    if not one.ended:
        summary.waiting += 1
    elif one.newest["status"] != "ready":
        known = error or {"code": "failed", "message": "It failed for a reason that the server did not tell."}
        summary.failed.append(Failure(one.source_uri, known["code"], known["message"]))
    elif one.changed:
        summary.ready += 1
    else:
        summary.unchanged += 1
